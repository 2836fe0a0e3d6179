//! Makes up decisions, compares each with the naive one, and hands them on for other hosts: blocks
//! of questions on the standard output, each with the SHA-256 of what they came to here. Run by
//! `tests/cases/cases.test.mjs`; how many, and from which seed on, come as two words.
//!
//! ```text
//! block = length of the questions (u32, little-endian), questions (`replay::cases::Cases` as
//!         postcard), how many there are (u32, little-endian), SHA-256 of the answers (32 bytes)
//! ```

#[path = "../decisions/mod.rs"]
mod decisions;
#[path = "../oracle/mod.rs"]
mod oracle;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use decisions::block::Block;
use decisions::compare::Tally;
use selvedge::replay::cases;
use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(wanted)), Some(Ok(first)), None) = (words.next(), words.next(), words.next())
    else {
        eprintln!("the words are how many cases, and the first seed");
        return ExitCode::FAILURE;
    };
    match write(wanted, first) {
        Ok(tally) => {
            eprintln!("{}", tally.line());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn write(wanted: u64, first: u64) -> Result<Tally, String> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut tally = Tally::default();
    for seed in first.. {
        if tally.cases as u64 >= wanted {
            break;
        }
        let block = Block::made_up(seed, &mut tally.refused);
        let answers = cases::run(&block.cases).map_err(|error| format!("{error:?}"))?;
        block.compare(&answers, &mut tally)?;
        let questions = postcard::to_allocvec(&block.cases).map_err(|error| error.to_string())?;
        let answers = postcard::to_allocvec(&answers).map_err(|error| error.to_string())?;
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let parts = [
            &number(questions.len())[..],
            &questions,
            &number(block.questions.len()),
            &Sha256::digest(&answers),
        ];
        for part in parts {
            out.write_all(part).map_err(|error| error.to_string())?;
        }
    }
    if tally.cases >= 2_000 {
        tally.check();
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(tally)
}
