//! A layer's blob as somebody else wrote it: unpacked within limits, read member by member, compared.
//!
//! All of it faces bytes of strangers and knows no files and no network. Start reading at
//! [`LayerReader`] (unpacking), then [`Members`] (the tar);
//! [`difference()`] tells two layers apart, [`tree_difference()`] two stacks of them.

mod change_set;
mod difference;
mod error;
mod layer_reader;
mod limits;
mod members;
mod tree_difference;

pub use change_set::{ChangeSet, Node, State};
pub use difference::{CompareError, Difference, difference};
pub use error::ArchiveError;
pub use layer_reader::{LayerReader, Packed};
pub use limits::Limits;
pub use members::{Member, MemberKind, Members};
pub use tree_difference::{Change, PathDifference, tree_difference};
