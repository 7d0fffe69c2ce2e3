//! Man pages and completions, from the definition of the command line.

use std::io;

use camino::Utf8Path;
use clap::CommandFactory as _;

use crate::Findings;
use crate::cli::{Cli, Completions, Man};
use crate::error::Failure;

pub(crate) fn completions(args: &Completions) -> Result<Findings, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snowguard", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script).map_err(Failure::new)?;
    Ok(Findings::None)
}

pub(crate) fn man(args: &Man) -> Result<Findings, Failure> {
    match &args.directory {
        None => {
            let page = render(clap_mangen::Man::new(Cli::command())).map_err(Failure::new)?;
            io::Write::write_all(&mut io::stdout().lock(), &page).map_err(Failure::new)?;
        }
        Some(directory) => {
            write_all(directory).map_err(|source| Failure::cannot_write(directory, source))?;
        }
    }
    Ok(Findings::None)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the face writes what it was asked to write"
)]
fn write_all(directory: &Utf8Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory)
}

fn render(man: clap_mangen::Man) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(page)
}
