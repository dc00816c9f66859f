//! Variables as container runtimes pass them on: `docker run --env-file` keeps the quotes around a value and
//! a carriage return at the end of a line, where a shell or systemd takes them away.

use std::{env, io, process};

use clap::{Arg, Command, builder::Resettable};

/// A name is cleaned where its id is made, which must know what an earlier version took for the name.
const NAME: &str = "NODE_NAME";

/// The command without variables that say nothing: service managers and containers set what they have no
/// value for to nothing, such as `${NAME:-}`.
pub(super) fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(env::var_os);
        value.is_some_and(|value| cleaned(&value.to_string_lossy(), arg.get_value_delimiter()).is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty)
}

/// The variables of this command that are not written as they are meant, and how they are meant.
pub(super) fn to_clean(command: &Command) -> Vec<(String, String)> {
    let of_arg = |arg: &Arg| {
        let name = arg.get_env()?.to_str().filter(|name| *name != NAME)?;
        let value = env::var(name).ok()?;
        let cleaned = cleaned(&value, arg.get_value_delimiter());
        (cleaned != value && !cleaned.is_empty()).then(|| (name.to_owned(), cleaned))
    };
    let of_subcommands = command.get_subcommands().flat_map(to_clean);
    command.get_arguments().filter_map(of_arg).chain(of_subcommands).collect()
}

/// Starts this program again, in this process, with these variables. A program cannot safely change its own
/// variables, and clap reads no others. Returns only when that fails.
#[cfg(unix)]
pub(super) fn start_again(variables: Vec<(String, String)>) -> io::Error {
    use std::os::unix::process::CommandExt;
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut again = process::Command::new(program);
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).envs(variables).exec()
}

#[cfg(not(unix))]
pub(super) fn start_again(_: Vec<(String, String)>) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// The value without blanks and quotes around it; of a list, without blanks around its items and without
/// empty ones.
fn cleaned(value: &str, delimiter: Option<char>) -> String {
    let value = unquoted(value);
    let Some(delimiter) = delimiter else { return value.to_owned() };
    let items = value.split(delimiter).map(unquoted).filter(|item| !item.is_empty());
    items.collect::<Vec<_>>().join(&delimiter.to_string())
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let between = |quote: char| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    };
    between('"').or_else(|| between('\'')).map_or(value, unquoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_blanks_and_empty_items_are_not_meant() {
        for (value, delimiter, meant) in [
            ("0.0.0.0:8080", None, "0.0.0.0:8080"),
            ("\"0.0.0.0:8080\"\r", None, "0.0.0.0:8080"),
            ("'a b'", None, "a b"),
            ("\"", None, "\""),
            ("\"\"", None, ""),
            ("5\" disk", None, "5\" disk"),
            ("a, b,", None, "a, b,"),
            ("a=1,,b=2,", Some(','), "a=1,b=2"),
            ("\"a=1, b=2\"", Some(','), "a=1,b=2"),
            ("\"a=1\",'b=2'", Some(','), "a=1,b=2"),
            ("\"a=1\",\"b=2\"", Some(','), "a=1,b=2"),
            (" , ", Some(','), ""),
        ] {
            assert_eq!(cleaned(value, delimiter), meant, "{value}");
        }
    }
}
