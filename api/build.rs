//! Lists the files of the page, which `cargo xtask web` puts into `dist/web`, so that the binary carries
//! them.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let web = manifest_dir.join("../dist/web");
    // Cargo runs this script on every build while the folder is missing, so create an empty one. Where that
    // fails, running on every build does no harm.
    fs::create_dir_all(&web).ok();
    println!("cargo::rerun-if-changed={}", web.display());

    let mut names = file_names(&web)?;
    names.sort();
    let mut list = fs::File::create(out_dir.join("page_files.rs"))?;
    writeln!(list, "&[")?;
    for name in names.iter().filter(|name| !name.ends_with(".gz")) {
        let twin = format!("{name}.gz");
        let gzip = match names.contains(&twin) {
            true => format!("Some(include_bytes!({:?}))", web.join(&twin)),
            false => "None".to_owned(),
        };
        writeln!(
            list,
            "    PageFile {{ name: {name:?}, plain: include_bytes!({:?}), gzip: {gzip} }},",
            web.join(name)
        )?;
    }
    writeln!(list, "]")
}

/// The folder's files; none when there is no folder.
fn file_names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}
