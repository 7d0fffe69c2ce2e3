//! Man pages and completions, from the definition of the command line.

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Man};
use crate::failure::Failure;

pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snowguardd", &mut script);
    print(&script)
}

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    // Each role has a page, and `help` needs none.
    let definition = Cli::command().disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(definition)
            .render(&mut page)
            .map_err(Failure::new)?;
        return print(&page);
    };
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(definition, directory))
        .map_err(|source| {
            Failure::new(source)
                .context(format!("cannot write {directory}"))
                .hint("`snowguardd man DIR` makes a directory of pages")
        })
}

/// Who closes the pipe has seen enough.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(source).context("cannot write to stdout"))
        }
        _ => Ok(()),
    }
}
