//! Lines that a rule writes for its author, through the one import that there is: `wit/deps/log.wit`.
//!
//! A flood is counted instead of kept, and every line costs fuel, so writing can exhaust neither memory nor time. No clock and no answer
//! cross here: a rule cannot learn anything by writing.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{Linker, WasmStr};
use wasmtime::{StoreContextMut, Trap};

use super::limits::Allowance;

/// The import's name: `package rerate:log@1.0.0`, interface `log`.
pub(super) const LOG_IMPORT: &str = "rerate:log/log@1.0.0";
/// Its one function.
pub(super) const LOG_FUNCTION: &str = "line";

/// Lines of one instance that are kept: a person reads the first ones, and one instance serves thousands of rows.
const LINES: usize = 100;
/// Characters of a line that are kept.
const CHARS: usize = 500;
/// Instructions that a line costs, about what crossing to the host and back takes; and for each byte that is looked at.
const FUEL_PER_LINE: u64 = 1_000;
const FUEL_PER_BYTE: u64 = 1;

/// What the instances of one plugin wrote, in the order in which they wrote it.
#[derive(Debug, Default)]
pub struct Log(Mutex<Logged>);

/// Lines, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    pub lines: Vec<String>,
    pub cut: u64,
}

impl Log {
    /// What was written since the last time.
    pub fn take(&self) -> Logged {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wants_more(&self) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = logged.lines.len() < LINES;
        logged.cut += u64::from(!room);
        room
    }

    fn write(&self, message: &str) {
        // One line a message: what it writes must not be mistaken for several, nor steer a terminal.
        let mut line: String = message.chars().take(CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if message.chars().nth(CHARS).is_some() {
            line.push('…');
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
    }
}

/// Offers the import to a component; one that does not ask for it is not concerned.
pub(super) fn define(linker: &mut Linker<Allowance>) -> wasmtime::Result<()> {
    linker.instance(LOG_IMPORT)?.func_wrap(LOG_FUNCTION, |mut store: StoreContextMut<'_, Allowance>, (message,): (WasmStr,)| {
        charge(&mut store, FUEL_PER_LINE)?;
        let Some(log) = store.data().log.clone().filter(|log| log.wants_more()) else { return Ok(()) };
        // Read whole, since it must be text to its end; a call's output bounds it.
        let text = message.to_str(&store)?.into_owned();
        charge(&mut store, FUEL_PER_BYTE.saturating_mul(text.len() as u64))?;
        log.write(&text);
        Ok(())
    })
}

fn charge(store: &mut StoreContextMut<'_, Allowance>, fuel: u64) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    store.set_fuel(left.saturating_sub(fuel))?;
    if left < fuel { Err(Trap::OutOfFuel.into()) } else { Ok(()) }
}

/// Where lines go.
pub(super) type Sink = Option<Arc<Log>>;
