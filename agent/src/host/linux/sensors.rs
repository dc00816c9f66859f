//! Temperature, fans and processor frequency, from sysfs.

mod fans;
mod files;
mod frequency;
mod temperature;

pub(super) use self::{fans::Fans, frequency::Frequency, temperature::Temperature};
