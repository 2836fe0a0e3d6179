//! People and questions over one workspace, all made up from one seed. It must never judge.

use selvedge::replay::cases::{Answered, Cases};
use selvedge::workspace::Workspace;

use super::compare::{Tally, compare};
use super::declared::{Declared, WORDS};
use super::people::{Asked, Person};
use super::{json, make};
use crate::oracle::generate::Dice;

const PEOPLE: u64 = 5;
const QUESTIONS: usize = 4;

pub struct Block {
    pub seed: u64,
    pub declared: Declared,
    pub people: Vec<Person>,
    /// Whose, and what.
    pub questions: Vec<(usize, Asked)>,
    /// The same for the engine.
    pub cases: Cases,
}

impl Block {
    /// The same seed makes the same block everywhere. `refused` counts what the compiler refused.
    pub fn made_up(seed: u64, refused: &mut usize) -> Self {
        let mut dice = Dice::new(seed, &WORDS);
        let (declared, workspace) = make::workspace(&mut dice, refused);
        let mut people = Vec::new();
        let mut questions = Vec::new();
        for nth in 0..PEOPLE {
            people.push(make::person(&mut dice, &declared, seed * PEOPLE + nth));
            for _ in 0..QUESTIONS {
                questions.push((people.len() - 1, make::asked(&mut dice, &declared)));
            }
        }
        let cases = Self::ask(&workspace, &people, &questions);
        Self { seed, declared, people, questions, cases }
    }

    /// The questions as the engine takes them, over any workspace.
    pub fn ask(workspace: &Workspace, people: &[Person], asked: &[(usize, Asked)]) -> Cases {
        let ask = |(who, asked): &(usize, Asked)| {
            people[*who].ask(workspace, u32::try_from(*who).expect("few"), asked)
        };
        Cases {
            image: workspace.to_bytes().expect("an image"),
            states: people.iter().map(|person| person.state(workspace)).collect(),
            cases: asked.iter().map(ask).collect(),
        }
    }

    /// Holds the engine's answers against naive ones; the first difference is told with all that it
    /// takes to see it.
    pub fn compare(&self, answers: &[Answered], tally: &mut Tally) -> Result<(), String> {
        assert_eq!(self.questions.len(), answers.len());
        for ((who, asked), answered) in self.questions.iter().zip(answers) {
            let person = &self.people[*who];
            compare(&self.declared, person, asked, answered, tally).map_err(|why| {
                let (seed, source) = (self.seed, json::workspace(&self.declared));
                format!("seed {seed}: {why}\n{person:?}\n{asked:?}\n{source}")
            })?;
        }
        Ok(())
    }
}
