//! The formats a config can be written in. A new one is one file and its two lines here.

mod dockless;
mod holodeck;

use super::ConfigFormat;

/// Every format; where a folder has files of several, the first one wins.
pub static FORMATS: &[&dyn ConfigFormat] = &[
    &dockless::Dockless, //
    &holodeck::HoloDeck,
];
