//! What compilers and linkers write into programs.
//!
//! Only headers, tables of sections and the sections in question are asked for; symbols and code
//! are not.

mod auditable;
mod go;
mod image;
mod runtime;
mod wasm;
mod window;

pub(crate) use go::is_directory;
pub(crate) use window::Window;

use object::ReadRef;

use crate::read::{PartsError, Sink};
use image::Image;

/// What a program declares: nothing, if it has none of the sections. `path` only tells how it is
/// called.
pub(crate) fn read<'data, R: ReadRef<'data>>(
    path: &str,
    data: R,
    sink: &mut Sink,
) -> Result<(), PartsError> {
    let whole = Window::new(data)?;
    if wasm::is_module(whole) {
        if let Some(section) = wasm::auditable(whole)? {
            auditable::read(whole, section, sink);
        }
        return Ok(());
    }
    for (window, image) in Image::read_all(whole, sink)? {
        if let Some(section) = image.auditable {
            auditable::read(window, section, sink);
        }
        go::read(window, &image, sink);
        runtime::read(window, path, &image, sink);
    }
    Ok(())
}
