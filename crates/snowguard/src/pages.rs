//! Man pages and completions, from the definition of the command line.

use std::io;

use camino::Utf8Path;
use clap::CommandFactory as _;

use crate::Findings;
use crate::cli::{Cli, Completions, Man};
use crate::error::Failure;
use crate::output::Terminal;

pub(crate) fn completions(args: &Completions, terminal: &Terminal) -> Result<Findings, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snowguard", &mut script);
    terminal.data(&script, None)?;
    Ok(Findings::None)
}

pub(crate) fn man(args: &Man, terminal: &Terminal) -> Result<Findings, Failure> {
    match &args.directory {
        None => {
            let page = render(&clap_mangen::Man::new(definition())).map_err(Failure::new)?;
            terminal.data(&page, None)?;
        }
        Some(directory) => {
            write_all(directory).map_err(|source| {
                Failure::cannot_write(directory, source)
                    .hint("`snowguard man DIR` makes a directory of pages")
            })?;
        }
    }
    Ok(Findings::None)
}

fn write_all(directory: &Utf8Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(definition(), directory)
}

/// Each command has a page, and `help` needs none.
fn definition() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}

fn render(man: &clap_mangen::Man) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(page)
}
