//! Lines that a rule writes for its author: [`log!`](crate::log!).
//!
//! In the daemon they come back with the run, bounded and without a time, and tell the rule nothing: it computes the same with and
//! without them. Natively they are kept for [`testing::logged`](crate::testing::logged).

/// Writes a line for the author, formatted as by `format!`.
///
/// ```
/// rerate_rule::log!("{} units at {}", 3, "0.10");
/// assert_eq!(rerate_rule::testing::logged(), ["3 units at 0.10"]);
/// ```
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log(&::std::format!($($argument)*)) };
}

/// Writes a line for the author. The daemon keeps the first 500 characters of a line and the first hundred lines of an instance.
///
/// Once a rule has written a line, a panic of the same instance writes its message as a line too.
pub fn log(line: &str) {
    write(line);
}

#[cfg(target_arch = "wasm32")]
fn write(line: &str) {
    use std::sync::Once;

    static PANICS: Once = Once::new();
    // Only here: a rule that writes nothing must not import the log.
    PANICS.call_once(|| std::panic::set_hook(Box::new(|panic| crate::wasm::logging::rerate::log::log::line(&panic.to_string()))));
    crate::wasm::logging::rerate::log::log::line(line);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(line: &str) {
    LINES.with_borrow_mut(|lines| {
        if lines.len() < KEPT {
            lines.push(line.to_owned());
        }
    });
}

/// As many as the daemon keeps of one instance.
#[cfg(not(target_arch = "wasm32"))]
const KEPT: usize = 100;

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static LINES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What rules wrote on this thread since the last time.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn take() -> Vec<String> {
    LINES.with_borrow_mut(std::mem::take)
}
