//! Functions of real numbers. Every browser has them; bringing our own would weigh 6 KB of the page, compressed.

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            pub fn $name(x: f64) -> f64 {
                #[cfg(target_arch = "wasm32")]
                return js_sys::Math::$name(x);
                #[cfg(not(target_arch = "wasm32"))]
                return x.$name();
            }
        )*
    };
}

functions! {
    /// The sine of an angle in radians.
    sin,
    /// The cosine of an angle in radians.
    cos,
    /// The tangent of an angle in radians.
    tan,
    /// e to the power of `x`.
    exp,
    /// The logarithm to the base two.
    log2,
    /// The inverse hyperbolic sine.
    asinh,
}

/// Two to the power of `x`.
pub fn exp2(x: f64) -> f64 {
    exp(x * std::f64::consts::LN_2)
}

/// The length of the hypotenuse. Exact enough for pixels, which are nowhere near the range's ends.
pub fn hypot(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_zoom_levels_double_the_world() {
        for zoom in 0..24 {
            assert!((exp2(f64::from(zoom)) / f64::from(1 << zoom) - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn the_hypotenuse_of_three_and_four_is_five() {
        assert_eq!(hypot(-3.0, 4.0), 5.0);
    }
}
