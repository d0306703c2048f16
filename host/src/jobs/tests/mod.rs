//! The daemon's work on small bills and hand-written components, from files to published runs.

mod accounts;
mod commits;
mod compared;
mod customers;
mod deploying;
mod imports;
mod lakes;
mod moves;
mod neighbours;
mod previews;
mod replays;
mod rerating;
mod restarts;
mod rules_changing;
mod shadows;
mod virtuals;
mod world;

use world::World;
