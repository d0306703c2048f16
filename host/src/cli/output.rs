//! What a person sees: lines, tables, numbers, bars. Amounts are rounded here, for the eye only; `--json` has them exact.
//!
//! The only place that writes to stdout or stderr.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::domain::money::{Amount, divide_half_even, power_of_ten};
use crate::domain::progress::Progress;

/// How often a progress bar looks at its counters: often enough to move, too seldom to cost.
const REFRESH: Duration = Duration::from_millis(100);

/// Whether a line did not get to stdout.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes a line to stdout. A reader that has gone away (`rerate ... | head`) is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if written.is_err_and(|e| e.kind() != std::io::ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Release);
    }
}

/// Whether all that was printed is where it should be: a script that keeps it must not take a part for the whole.
pub fn is_written() -> bool {
    !LOST.load(Ordering::Acquire)
}

/// Writes a line to stderr; where that fails there is nobody left to tell.
pub fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Writes one JSON value to stdout, indented.
pub fn print_json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    print(&serde_json::to_string_pretty(value)?);
    Ok(())
}

pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// A table; columns whose title starts with `>` are aligned to the right.
pub fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let right: Vec<bool> = titles.iter().map(|t| t.starts_with('>')).collect();
    let aligned = |text: String, right: bool| {
        let cell = Cell::new(text);
        if right { cell.set_alignment(CellAlignment::Right) } else { cell }
    };
    table.set_header(titles.iter().zip(&right).map(|(title, right)| aligned(title.trim_start_matches('>').to_owned(), *right)));
    for row in rows {
        table.add_row(row.into_iter().zip(&right).map(|(text, right)| aligned(text, *right)));
    }
    table.to_string()
}

/// `1234567` as `1,234,567`.
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// An amount with two decimals (half-even) and thousands separators: `-1,234.50`.
pub fn money(amount: Amount) -> String {
    decimals(amount, 2)
}

/// An amount with that many decimals, at most 18.
pub fn decimals(amount: Amount, digits: u32) -> String {
    let digits = digits.min(18);
    let rounded = divide_half_even(amount.0, power_of_ten(18 - digits));
    let one = power_of_ten(digits).unsigned_abs();
    let (whole, fraction) = (rounded.unsigned_abs() / one, rounded.unsigned_abs() % one);
    let sign = if rounded < 0 { "-" } else { "" };
    let whole = group(&whole.to_string());
    if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0width$}", width = digits as usize) }
}

/// `part` of `whole` in percent with one decimal; a dash where the whole is zero.
pub fn percent(part: Amount, whole: Amount) -> String {
    let scaled = part.0.checked_mul(1_000);
    match scaled {
        Some(scaled) if whole.0 != 0 => {
            let signed = if whole.0 < 0 { -scaled } else { scaled };
            let tenths = divide_half_even(signed, whole.0.abs());
            let sign = if tenths < 0 { "-" } else { "" };
            format!("{sign}{}.{}%", tenths.abs() / 10, tenths.abs() % 10)
        }
        _ => "-".to_owned(),
    }
}

/// `12.3 MiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut tenths = value.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `840 ms`, `12.3 s`, `4 min 05 s`.
pub fn duration(value: Duration) -> String {
    let millis = value.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// Rows per second, rounded down.
pub fn per_second(rows: u64, time: Duration) -> u64 {
    let per = u128::from(rows) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(per).unwrap_or(u64::MAX)
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A progress bar on a terminal, nothing elsewhere.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// `of_bytes` says what its units are.
    pub fn new(title: &str, of_bytes: bool) -> Self {
        if !stderr_is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let units = if of_bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}" };
        if let Ok(style) = ProgressStyle::with_template(&format!("{{prefix:24}} {{wide_bar:.cyan/dim}} {units}  {{msg}}  {{elapsed}}")) {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Self(Some(bar))
    }

    pub fn set(&self, done: u64, total: u64, rows: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(format!("{} lines", count(rows)));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Does `work` under a progress bar that follows `progress`.
pub fn with_bar<T>(title: &str, progress: &Progress, of_bytes: bool, work: impl FnOnce() -> T) -> T {
    if !stderr_is_terminal() {
        return work();
    }
    let bar = Bar::new(title, of_bytes);
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(Ordering::Acquire) {
                bar.set(progress.done(), progress.total(), progress.rows());
                std::thread::park_timeout(REFRESH);
            }
        });
        let _end = SetOnDrop(&finished); // also when the work panics: the scope waits for the watcher
        work()
    })
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_have_separators_and_two_decimals_for_the_eye() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(money(amount("-1234.505")), "-1,234.50");
        assert_eq!(money(amount("999.995")), "1,000.00");
        assert_eq!(decimals(amount("1500"), 0), "1,500");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 * 1024 * 1024 * 1024), "3.0 GiB");
        assert_eq!(duration(Duration::from_millis(65_430)), "65.4 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), 2_000);
    }

    #[test]
    fn a_share_of_nothing_is_a_dash() {
        assert_eq!(percent(amount("1"), amount("8")), "12.5%");
        assert_eq!(percent(amount("-1"), amount("3")), "-33.3%");
        assert_eq!(percent(amount("1"), Amount::ZERO), "-");
    }

    #[test]
    fn a_title_with_an_angle_is_aligned_to_the_right() {
        let text =
            table(&["tenant", ">billed"], [vec!["Acme".to_owned(), "1.00".to_owned()], vec!["B".to_owned(), "10,000.00".to_owned()]]);
        assert!(text.lines().any(|line| line.contains("Acme") && line.trim_end().ends_with("1.00")), "{text}");
        assert!(!text.contains('>'));
    }
}
