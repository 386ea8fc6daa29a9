//! User stories, one module each, against programs that nobody here wrote.

mod layers;
