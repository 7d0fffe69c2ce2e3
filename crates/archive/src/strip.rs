//! One directory at the top is taken off, as Nixpkgs' `fetchzip` does it with `stripRoot`.

use snowguard_store::Quoted;

use crate::tree::{Node, Tree};

/// Why there is no root that could be taken off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripError {
    /// There is nothing.
    #[error("strip root: the archive is empty")]
    Empty,
    /// There is more than one thing at the top.
    #[error(
        "strip root: there are {count} entries at the top, {first} and {second} among them, expected one"
    )]
    Several {
        /// How many.
        count: usize,
        /// The first of them.
        first: Quoted,
        /// The second.
        second: Quoted,
    },
    /// A name of two lines, which `fetchzip` counts as two entries.
    #[error("strip root: the only entry {name} has a line break in its name")]
    LineBreak {
        /// The name.
        name: Quoted,
    },
    /// A link: what `fetchzip` does then depends on where it points to.
    #[error("strip root: the only entry {name} is a symbolic link")]
    Symlink {
        /// The name.
        name: Quoted,
    },
}

impl<S> Tree<S> {
    /// Without what begins with a dot at the top: older `fetchzip` does not see it, and leaves it behind.
    #[must_use]
    pub fn without_hidden(mut self) -> Self {
        if let Node::Directory(children) = &mut self.nodes[self.root] {
            children.retain(|name, _| !name.starts_with(b"."));
        }
        self
    }

    /// The only directory of the root in its place. A file that is the only entry stays in the root.
    pub fn strip_root(mut self) -> Result<Self, StripError> {
        let top = self.top();
        let mut names = top.iter();
        let Some((name, at)) = names.next() else {
            return Err(StripError::Empty);
        };
        if let Some((second, _)) = names.next() {
            return Err(StripError::Several {
                count: top.len(),
                first: Quoted::new(name),
                second: Quoted::new(second),
            });
        }
        let at = *at;
        if name.contains(&b'\n') {
            return Err(StripError::LineBreak {
                name: Quoted::new(name),
            });
        }
        match &self.nodes[at] {
            Node::Directory(_) => self.root = at,
            Node::File(_) => {}
            Node::Symlink(_) => {
                return Err(StripError::Symlink {
                    name: Quoted::new(name),
                });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Duplicates, Limits, Memory};

    #[test]
    fn what_is_hidden_at_the_top_can_be_left_out() {
        let mut builder = Builder::new(Memory::default(), Limits::default(), Duplicates::Refused);
        builder.file(b".hidden", false, 0, &mut &b""[..]).unwrap();
        builder.file(b"pkg/.kept", false, 0, &mut &b""[..]).unwrap();
        let mut tree = builder.finish().without_hidden().strip_root().unwrap();
        let members = tree.members().unwrap();
        let paths: Vec<&[u8]> = members.iter().map(|member| &*member.path).collect();
        assert_eq!(paths, [b".kept"]);
    }
}
