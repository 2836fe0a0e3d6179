//! Decisions about made-up profiles, asked in every way that a host asks them: for showing that a
//! naive interpreter and every host come to the same. For tests only.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::decide::{Decision, Request};
use crate::engine::{
    self, Circumstances, Desk, Explained, Input, Page, Placements, Reply, Speaker, State,
};
use crate::error::Error;
use crate::slice::Slice;
use crate::time::Timestamp;
use crate::workspace::{Where, Workspace};

/// Questions over one workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cases {
    /// The workspace's image.
    pub image: Vec<u8>,
    /// Profile objects.
    pub states: Vec<State>,
    /// What is asked.
    pub cases: Vec<Case>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Which profile object.
    pub state: u32,
    /// When.
    pub now: Timestamp,
    /// Who asks.
    pub speaker: Speaker,
    /// The request.
    pub request: Request,
    /// What the host knows.
    pub around: Circumstances,
}

/// What one question came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The edge's placements, without and with reasons.
    pub edge: Page,
    /// The same with reasons.
    pub explained: Explained,
    /// The slice that a page gets.
    pub slice: Vec<u8>,
    /// The page's placements, from the slice, without reasons.
    pub page: Vec<Decision>,
    /// The same with reasons.
    pub page_explained: Vec<Decision>,
}

/// Asks all questions. Errors: `bad_image`, `bad_cases`.
pub fn run(cases: &Cases) -> Result<Vec<Answered>, Error> {
    let workspace = Workspace::from_bytes(&cases.image)?;
    let page = Workspace::from_bytes(&workspace.for_page().to_bytes()?)?;
    // Each with a desk of its own, as a host keeps it.
    let mut states: Vec<(&State, Desk)> =
        cases.states.iter().map(|state| (state, Desk::default())).collect();
    let mut answers = Vec::with_capacity(cases.cases.len());
    for case in &cases.cases {
        let state = usize::try_from(case.state).ok().and_then(|at| states.get_mut(at));
        let Some((state, desk)) = state else { return Err(bad("a profile object is missing")) };
        answers.push(case.answer(state, desk, &workspace, &page)?);
    }
    Ok(answers)
}

/// Asks all questions, from bytes to bytes. Errors: `bad_image`, `bad_cases`.
pub fn run_bytes(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let cases: Cases =
        postcard::from_bytes(bytes).map_err(|_| bad("these bytes are no questions"))?;
    postcard::to_allocvec(&run(&cases)?).map_err(|_| bad("the answers cannot be written"))
}

fn bad(message: &'static str) -> Error {
    Error::new("bad_cases", message, "")
}

impl Case {
    fn answer(
        &self,
        state: &State,
        desk: &mut Desk,
        workspace: &Workspace,
        page: &Workspace,
    ) -> Result<Answered, Error> {
        let Self { speaker, request, now, .. } = self;
        let mut ask = |question: Input| {
            let circumstances = self.around.clone();
            let input = Input::Under { circumstances, question: question.into() };
            engine::ask(state, desk, workspace, *now, &input).unwrap_or(Reply::Done)
        };
        let (speaker, request) = (speaker.clone(), request.clone());
        let (also, asked) = (speaker.clone(), request.clone());
        let placements = Placements::Every(Where::Edge);
        let Reply::Decisions(edge) =
            ask(Input::Decide { speaker, placements: placements.clone(), request, trace: false })
        else {
            return Err(bad("the edge does not decide"));
        };
        let (speaker, request) = (also.clone(), asked.clone());
        let Reply::Explained(explained) = ask(Input::Explain { speaker, placements, request })
        else {
            return Err(bad("the edge does not explain"));
        };
        let Reply::Slice(slice) = ask(Input::Slice { speaker: also, request: asked }) else {
            return Err(bad("the edge cuts no slice"));
        };
        let slice = slice.to_bytes();
        let held = Slice::from_bytes(&slice).ok_or_else(|| bad("a slice cannot be read"))?;
        let decide = |trace| {
            let mut taken = self.around.shown.clone();
            taken.extend(edge.decisions.iter().filter_map(|one| one.offer.clone()));
            let mut all = Vec::new();
            for placement in &page.placements {
                let name = &placement.name;
                let one = held.decide(page, &self.request, *now, name, &taken, trace);
                taken.extend(one.offer.clone());
                all.push(one);
            }
            all
        };
        let (plain, page_explained) = (decide(false), decide(true));
        Ok(Answered { edge, explained: *explained, slice, page: plain, page_explained })
    }
}
