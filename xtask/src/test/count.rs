//! Reads the runners' own summaries. It trusts the exit status over a summary that says all is
//! well.

use std::ops::AddAssign;
use std::process::ExitStatus;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Count {
    pub const FAILED: Count = Count { passed: 0, failed: 1, skipped: 0 };

    /// The line that people and scripts look for.
    pub fn line(self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }

    /// A run that failed as a whole (it did not compile, it crashed) counts as one failure.
    pub fn checked(mut self, status: ExitStatus) -> Self {
        if !status.success() && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

/// Sums `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out` lines.
pub fn cargo<'a>(lines: impl IntoIterator<Item = &'a str>) -> Count {
    let mut sum = Count::default();
    for line in lines {
        let Some((_, rest)) = line.trim_start().split_once("test result: ") else { continue };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => sum.passed += count,
                "failed" => sum.failed += count,
                "ignored" => sum.skipped += count,
                _ => {}
            }
        }
    }
    sum
}

/// Reads the last lines of the Test Anything Protocol as Node writes it: `# pass 3`.
pub fn node<'a>(lines: impl IntoIterator<Item = &'a str>) -> Count {
    let mut count = Count::default();
    for line in lines {
        let mut words = line.split_whitespace();
        if words.next() != Some("#") {
            continue;
        }
        let (Some(what), Some(Ok(number))) = (words.next(), words.next().map(str::parse::<u64>))
        else {
            continue;
        };
        match what {
            "pass" => count.passed = number,
            "fail" => count.failed += number,
            "cancelled" => count.failed += number,
            "skipped" | "todo" => count.skipped += number,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_several_cargo_test_programs_add_up() {
        let text = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished\n\
            test result: FAILED. 3 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(cargo(text.lines()), Count { passed: 5, failed: 1, skipped: 4 });
    }

    #[test]
    fn a_cancelled_test_of_node_counts_as_failed() {
        let text =
            "# tests 7\n# suites 0\n# pass 3\n# fail 1\n# cancelled 2\n# skipped 1\n# todo 0";
        assert_eq!(node(text.lines()), Count { passed: 3, failed: 3, skipped: 1 });
    }

    #[test]
    fn a_run_that_ended_badly_without_a_summary_counts_as_one_failure() {
        use std::os::unix::process::ExitStatusExt;
        let failed = Count::default().checked(ExitStatus::from_raw(256));
        assert_eq!(failed.line(), "0 passed, 1 failed");
    }

    #[test]
    fn skipped_tests_are_named_only_where_there_are_some() {
        let count = Count { passed: 2, failed: 0, skipped: 1 };
        assert_eq!(count.line(), "2 passed, 0 failed, 1 skipped");
    }
}
