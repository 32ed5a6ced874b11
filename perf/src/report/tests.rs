//! Result folders as the commands write them, and what the page makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Folder {
        let path =
            std::env::temp_dir().join(format!("mainspring-report-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join(name)).expect("a temporary folder");
        let folder = Folder(path);
        for (file, text) in files {
            fs::write(folder.path().join(file), text).expect("a temporary file");
        }
        folder
    }

    fn path(&self) -> PathBuf {
        let name = self.0.file_name().and_then(|name| name.to_str()).expect("made above");
        self.0.join(name.splitn(4, '-').nth(3).expect("made above"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn page_of(folders: &[&Folder]) -> Result<String, ReportError> {
    let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path()).collect();
    page(&paths.iter().map(PathBuf::as_path).collect::<Vec<&Path>>())
}

const RUN: &str = r#"{"scenario": "ask-cross-core", "verdict": "degraded", "reasons": ["a <busy> machine"],
    "offered_per_second": 100000, "response_p50_ns": 900, "response_p99_ns": 4000, "response_p999_ns": 9000}"#;
const PERCENTILES: &str =
    "Value Percentile TotalCount 1/(1-Percentile)\n0.9 0.5 50 2.00\n4.0 0.99 99 100.00\n";

#[test]
fn a_run_shows_verdict_reasons_headline_and_both_distributions() {
    let files = [("run.json", RUN), ("response.hgrm", PERCENTILES), ("service.hgrm", PERCENTILES)];
    let html = page_of(&[&Folder::new("a-run", &files)]).expect("a page");
    assert!(html.contains("badge degraded"), "{html}");
    assert!(html.contains("a &lt;busy&gt; machine"), "{html}");
    assert!(
        html.contains("response p50 900 ns, p99 4 µs, p99.9 9 µs, at 100 k/s offered"),
        "{html}"
    );
    assert!(html.contains("response, from the scheduled time"), "{html}");
    assert!(html.contains("service, from the actual send"), "{html}");
    assert!(!html.contains("<script") && !html.contains("src="), "a page loads nothing");
}

#[test]
fn an_invalid_run_shows_no_headline_and_no_picture() {
    let run = RUN.replace("degraded", "invalid");
    let files = [("run.json", run.as_str()), ("response.hgrm", PERCENTILES)];
    let html = page_of(&[&Folder::new("invalid", &files)]).expect("a page");
    assert!(html.contains("badge invalid") && html.contains("a &lt;busy&gt; machine"), "{html}");
    assert!(!html.contains("class=\"headline\"") && !html.contains("<svg"), "{html}");
}

#[test]
fn a_curve_marks_its_knee_and_draws_invalid_points_hollow() {
    let curve = r#"{"scenario": "ask-cross-core", "verdict": "valid", "reasons": [], "knee_per_second": 2000,
        "points": [
        {"offered_per_second": 1000, "p50_ns": 900, "p99_ns": 2000, "p999_ns": 3000, "max_ns": 9000,
         "verdict": "valid"},
        {"offered_per_second": 2000, "p50_ns": 950, "p99_ns": 9000, "p999_ns": 9500, "max_ns": 9900,
         "verdict": "invalid"}]}"#;
    let html = page_of(&[&Folder::new("curve", &[("curve.json", curve)])]).expect("a page");
    assert!(html.contains(">knee</text>") && html.contains("class=\"hollow1\""), "{html}");
    assert!(html.contains("knee at 2 k/s"), "{html}");
    assert!(html.contains("<th>offered per second</th>"), "{html}");
}

#[test]
fn a_comparison_has_a_bar_for_each_contestant() {
    let compare = r#"{"scenario": "ping-pong-same-core", "verdict": "valid", "reasons": [],
        "headline": "mainspring 7.9 ns; the best peer takes 11 times as long",
        "contestants": [{"name": "mainspring", "ns_per_message": 7.9}, {"name": "tokio", "ns_per_message": 88}]}"#;
    let html = page_of(&[&Folder::new("compare", &[("compare.json", compare)])]).expect("a page");
    assert_eq!(html.matches("<rect").count(), 2, "{html}");
    assert!(
        html.contains(">88 ns</text>") && html.contains("the best peer takes 11 times"),
        "{html}"
    );
}

#[test]
fn many_results_have_a_table_of_contents() {
    let folders =
        [Folder::new("one", &[("run.json", RUN)]), Folder::new("two", &[("run.json", RUN)])];
    let html = page_of(&[&folders[0], &folders[1]]).expect("a page");
    assert!(html.contains("href=\"#r1\"") && html.contains("id=\"r1\""), "{html}");
}

#[test]
fn what_is_no_result_is_refused_with_the_file_that_is_wrong() {
    let unfinished = Folder::new(".unfinished-x", &[("run.json", RUN)]);
    assert!(matches!(page_of(&[&unfinished]), Err(ReportError::Unfinished(_))));
    let empty = Folder::new("empty", &[]);
    assert!(matches!(page_of(&[&empty]), Err(ReportError::NoResult(_))));
    let torn = Folder::new("torn", &[("run.json", "{\"scenario\": ")]);
    assert!(matches!(page_of(&[&torn]), Err(ReportError::Json { .. })));
    let odd = Folder::new("odd", &[("run.json", RUN), ("service.hgrm", "what\n")]);
    assert!(matches!(page_of(&[&odd]), Err(ReportError::Percentiles { line: 1, .. })));
    assert!(matches!(page(&[]), Err(ReportError::Number { given: 0 })));
    let missing = page(&[Path::new("/nowhere/at/all")]);
    assert!(matches!(missing, Err(ReportError::Unreadable { .. })));
}
