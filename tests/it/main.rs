//! Stories: what users see, proved with real files and independent tools.

mod config;
