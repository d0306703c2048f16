//! Where two outcomes differ: the block, the row and the column, for a person to read.

use std::fmt;

use serde::Serialize;

/// Differences that are listed; more of them have the same cause.
const LISTED_MAX: usize = 12;

/// One place in which two outcomes differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `charge 3`, `line 1`, `finding 2`, or what is missing or too many.
    pub place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub expected: String,
    pub got: String,
}

/// All of them, as far as they are worth listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    pub listed: Vec<Difference>,
    /// How many there are.
    pub count: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.column.as_deref().map_or(String::new(), |column| format!(", {column}"));
        let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
        write!(f, "{}{column}: expected {}, got {}", self.place, shown(&self.expected), shown(&self.got))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.listed.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            difference.fmt(f)?;
        }
        match self.count - self.listed.len() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Differences {
    fn push(&mut self, place: String, column: Option<&str>, expected: &str, got: &str) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            let (column, expected, got) = (column.map(str::to_owned), expected.to_owned(), got.to_owned());
            self.listed.push(Difference { place, column, expected, got });
        }
    }
}

/// A table of the text: its first column's title, its titles, its rows.
struct Block {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Block {
    fn name(&self) -> &str {
        self.titles.first().map_or("", String::as_str)
    }

    fn place(&self, row: usize) -> String {
        format!("{} {}", self.name().to_lowercase(), row + 1)
    }
}

/// Blocks of a text; a quoted field may have empty lines in it.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut starts_block = true;
    let (mut record, mut at) = (csv::StringRecord::new(), 0);
    while at < text.len() {
        if let Some(rest) = text[at..].strip_prefix('\n') {
            starts_block = true;
            at = text.len() - rest.len();
            continue;
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text.as_bytes()[at..]);
        if !reader.read_record(&mut record).unwrap_or(false) {
            break;
        }
        at += usize::try_from(reader.position().byte()).unwrap_or(usize::MAX).min(text.len() - at);
        let fields = record.iter().map(str::to_owned).collect();
        match blocks.last_mut() {
            Some(block) if !starts_block => block.rows.push(fields),
            _ => blocks.push(Block { titles: fields, rows: Vec::new() }),
        }
        starts_block = false;
    }
    blocks
}

/// Compares the texts of two outcomes; none when they are the same, to the byte.
pub fn differences(expected: &str, got: &str) -> Option<Differences> {
    if expected == got {
        return None;
    }
    if expected.contains("\r\n") && !got.contains("\r\n") {
        // Otherwise every row would differ, and none would say why.
        let mut found = differences(&expected.replace("\r\n", "\n"), got).unwrap_or_default();
        found.push("the file".to_owned(), None, "lines that end with \\r\\n, as git may check them out", "lines that end with \\n");
        return Some(found);
    }
    let mut found = Differences::default();
    let (wanted, given) = (blocks(expected), blocks(got));
    for block in &wanted {
        match given.iter().find(|other| other.name() == block.name()) {
            Some(other) => compare(block, other, &mut found),
            None => found.push(format!("block {}", block.name()), None, &whole(block), ""),
        }
    }
    for block in given.iter().filter(|block| wanted.iter().all(|other| other.name() != block.name())) {
        found.push(format!("block {}", block.name()), None, "", &whole(block));
    }
    if found.count == 0 {
        found.push("the text".to_owned(), None, "other white space, quotes or order", "the same values");
    }
    Some(found)
}

fn whole(block: &Block) -> String {
    match block.rows.first() {
        Some(row) if block.rows.len() == 1 => row[1..].join(", "),
        _ => format!("{} rows", block.rows.len()),
    }
}

fn compare(expected: &Block, got: &Block, found: &mut Differences) {
    for title in expected.titles.iter().filter(|title| !got.titles.contains(title)) {
        found.push(format!("block {}", expected.name()), None, &format!("a column {title}"), "");
    }
    for title in got.titles.iter().filter(|title| !expected.titles.contains(title)) {
        found.push(format!("block {}", expected.name()), None, "", &format!("a column {title}"));
    }
    for (index, row) in expected.rows.iter().enumerate() {
        let Some(other) = got.rows.get(index) else {
            found.push(expected.place(index), None, &row.get(1..).unwrap_or_default().join(", "), "");
            continue;
        };
        for (position, title) in expected.titles.iter().enumerate() {
            let Some(same) = got.titles.iter().position(|other| other == title) else { continue };
            let (wanted, given) = (row.get(position).map_or("", String::as_str), other.get(same).map_or("", String::as_str));
            if wanted != given {
                found.push(expected.place(index), Some(title), wanted, given);
            }
        }
    }
    for (index, row) in got.rows.iter().enumerate().skip(expected.rows.len()) {
        found.push(got.place(index), None, "", &row.get(1..).unwrap_or_default().join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str =
        "Charge,x_CustomerCost,x_Treatment,Reason\n1,110,keep,\"a\n\nb\"\n2,5,keep,\n\nFinding,Severity,Message\n1,info,x\n";

    #[test]
    fn the_same_text_has_no_differences() {
        assert_eq!(differences(EXPECTED, EXPECTED), None);
    }

    #[test]
    fn a_difference_names_row_and_column_even_behind_a_field_with_empty_lines() {
        let got = EXPECTED.replace("2,5,", "2,6,").replace("1,info,x\n", "");
        let found = differences(EXPECTED, &got).unwrap();
        assert_eq!(found.to_string(), "charge 2, x_CustomerCost: expected 5, got 6\nfinding 1: expected info, x, got nothing");
    }

    #[test]
    fn a_block_or_a_column_that_came_or_went_is_named_and_white_space_is_a_difference() {
        let of = |expected: &str, got: &str| differences(expected, got).unwrap().to_string();
        assert_eq!(
            of("Refused,Pointer,Message\n1,/a,no\n", "Charge,x\n"),
            "block Refused: expected /a, no, got nothing\nblock Charge: expected nothing, got 0 rows"
        );
        assert_eq!(of("Charge,x\n1,2\n", "Charge,x,ServiceName\n1,2,S\n"), "block Charge: expected nothing, got a column ServiceName");
        assert!(of("Charge,x\n1,2", "Charge,x\n1,2\n").contains("white space"));
    }

    #[test]
    fn line_ends_of_another_system_are_one_difference_and_not_one_a_row() {
        let found = differences(&EXPECTED.replace("\n", "\r\n"), &EXPECTED.replace("2,5,", "2,6,")).unwrap();
        let told = found.to_string();
        assert!(told.starts_with("charge 2, x_CustomerCost: expected 5, got 6\nthe file: expected lines that end with \\r\\n"), "{told}");
        assert_eq!(found.count, 2);
        assert_eq!(differences("Charge,x\n1,\"a\r\nb\"\n", "Charge,x\n1,\"a\r\nc\"\n").unwrap().count, 1, "in a field it is data");
    }

    #[test]
    fn many_differences_are_counted_and_some_are_listed() {
        let rows = |cost: u32| (1..=30).fold("Charge,x\n".to_owned(), |text, row| format!("{text}{row},{cost}\n"));
        assert!(differences(&rows(1), &rows(2)).unwrap().to_string().ends_with("\nand 18 more"));
    }
}
