//! Programs or rules: switching between them under load, and what tells which of them serves.

mod scene;
mod switch;
mod told;
