//! The run as JUnit XML, which every CI reads.

use std::fmt::Write;
use std::time::Duration;

use super::report::{CaseResult, Run};

pub(super) fn xml(run: &Run) -> String {
    let mut suites = String::new();
    let class = run.plugin.as_ref().map_or("rule", |plugin| plugin.name.as_str());
    if let Some(results) = &run.sandbox {
        suite(&mut suites, "sandbox", class, results, None);
    }
    if let Some(native) = run.native.as_ref().filter(|native| native.ran.is_some()) {
        suite(&mut suites, "native", class, &native.cases, Some(native.failed.as_deref()));
    }
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites failures=\"{}\">\n{suites}</testsuites>\n", run.failed())
}

/// `own` is the outcome of the project's own tests, a case of its own.
fn suite(out: &mut String, name: &str, class: &str, results: &[CaseResult], own: Option<Option<&str>>) {
    let failures = results.iter().filter(|case| !case.passes()).count() + usize::from(matches!(own, Some(Some(_))));
    let tests = results.len() + usize::from(own.is_some());
    // Writing to a string does not fail.
    let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">");
    for case in results {
        test(out, class, &case.name, case.elapsed, (!case.passes()).then(|| case.problems.join("\n")).as_deref());
    }
    if let Some(failed) = own {
        test(out, class, "the project's own tests", Duration::ZERO, failed);
    }
    out.push_str("  </testsuite>\n");
}

fn test(out: &mut String, class: &str, name: &str, elapsed: Duration, failure: Option<&str>) {
    let (class, name) = (escaped(class), escaped(name));
    let millis = elapsed.as_millis();
    let opening = format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{}.{:03}\"", millis / 1_000, millis % 1_000);
    // Writing to a string does not fail.
    let _ = match failure {
        None => writeln!(out, "{opening}/>"),
        Some(text) => {
            let first = escaped(text.lines().next().unwrap_or_default());
            writeln!(out, "{opening}>\n      <failure message=\"{first}\">{}</failure>\n    </testcase>", escaped(text))
        }
    };
}

/// Text of an element or an attribute; characters that XML 1.0 has no way to write become a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            other if other < ' ' || ('\u{fffe}'..='\u{ffff}').contains(&other) => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_say_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\"\u{1}\n"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\n");
    }
}
