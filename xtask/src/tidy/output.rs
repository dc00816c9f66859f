//! Programs print by `tidemap_service::cli`: the standard library's macros panic when the output is closed.

use super::{
    code::{Token, tokens},
    crates::crates,
    sources::assert_none,
};

const MACROS: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
/// Tests, benches and tasks print for those who watch them.
const NO_PROGRAMS: [&str; 4] = ["tidemap-testkit", "tidemap-e2e", "tidemap-bench", "xtask"];

#[test]
fn programs_survive_what_cannot_be_printed() {
    let mut violations = Vec::new();
    for program in crates().iter().filter(|member| !NO_PROGRAMS.contains(&member.name.as_str())) {
        for module in &program.modules {
            violations
                .extend(printing(&module.tokens).iter().map(|name| format!("{}: {name}!", module.file)));
        }
    }
    assert_none("print by tidemap_service::cli", &violations);
}

fn printing(tokens: &[Token]) -> Vec<&Token> {
    let is_macro = |pair: &&[Token]| MACROS.contains(&pair[0].as_str()) && pair[1] == "!";
    tokens.windows(2).filter(is_macro).map(|pair| &pair[0]).collect()
}

#[test]
fn a_macro_is_found() {
    assert_eq!(printing(&tokens("fn f() { println!(\"x\"); print(1); }")), ["println"]);
}
