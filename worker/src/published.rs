//! The published workspace as this isolate knows it, and which offers are spent. It must never
//! serve what was replaced longer ago than [`FRESH_MS`], unless the tenant's object cannot be
//! asked.

use std::cell::RefCell;
use std::rc::Rc;

use selvedge::budget::{Spent, SpentIndex};
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use worker::Env;

use crate::http::Fault;
use crate::objects::{self, Have, News};

/// How long a workspace is taken for the current one without asking.
const FRESH_MS: i64 = 2_000;
/// Workspaces kept in memory: the current one, and those that slower calls still name.
const KEPT: usize = 4;

#[derive(Default)]
struct Known {
    /// The latest used last.
    workspaces: Vec<Rc<Workspace>>,
    current: Option<Rc<Workspace>>,
    asked: Option<Timestamp>,
    spent: Spent,
    /// The same by the indices of this workspace.
    spent_index: Option<(String, SpentIndex)>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Known {
    fn find(&self, version: &str) -> Option<Rc<Workspace>> {
        self.workspaces.iter().find(|known| known.version == version).cloned()
    }

    fn keep(&mut self, workspace: Workspace) -> Rc<Workspace> {
        if let Some(known) = self.find(&workspace.version) {
            return known;
        }
        if self.workspaces.len() >= KEPT {
            self.workspaces.remove(0);
        }
        let workspace = Rc::new(workspace);
        self.workspaces.push(Rc::clone(&workspace));
        workspace
    }
}

/// The current workspace, where nobody has to be asked.
pub fn fresh(now: Timestamp) -> Option<Rc<Workspace>> {
    KNOWN.with_borrow(|known| {
        let is_fresh = known.asked.is_some_and(|asked| now.since_ms(asked) < FRESH_MS);
        known.current.clone().filter(|_| is_fresh)
    })
}

/// The current workspace. Errors: `no_workspace`, `unavailable`.
pub async fn current(env: &Env, tenant: &str, now: Timestamp) -> Result<Rc<Workspace>, Fault> {
    if let Some(current) = fresh(now) {
        return Ok(current);
    }
    let known = KNOWN.with_borrow_mut(|known| {
        // Others go on with what is known while the first one asks.
        known.asked = known.current.as_ref().map(|_| now);
        known.current.clone()
    });
    let version = known.as_ref().map(|workspace| workspace.version.clone()).unwrap_or_default();
    let spent_as_of = KNOWN.with_borrow(|known| known.spent.as_of);
    let stub = objects::tenant(env, tenant)?;
    let news: Result<News, Fault> =
        objects::post(&stub, "current", &Have { version, spent_as_of }).await;
    if let Ok(News { spent: Some(spent), .. }) = &news {
        take_spent(spent.clone());
    }
    match news.map(|news| news.image) {
        Ok(Some(image)) => {
            let workspace = load(&image)?;
            Ok(replace(workspace, now))
        }
        Ok(None) => known.ok_or_else(none),
        // Better the workspace of some seconds ago than none.
        Err(fault) => known.ok_or(fault),
    }
}

/// Takes in which offers are spent; the later word stands.
pub fn take_spent(spent: Spent) {
    KNOWN.with_borrow_mut(|known| {
        if spent.as_of > known.spent.as_of {
            known.spent = spent;
            known.spent_index = None;
        }
    });
}

/// The offers of a workspace that are spent now, by index.
pub fn spent(workspace: &Workspace, now: Timestamp) -> Vec<u32> {
    KNOWN.with_borrow_mut(|known| {
        let Known { spent, spent_index, .. } = known;
        if spent_index.as_ref().is_none_or(|(version, _)| *version != workspace.version) {
            *spent_index = Some((workspace.version.clone(), spent.indexed(workspace)));
        }
        spent_index.as_ref().map_or_else(Vec::new, |(_, index)| index.at(now))
    })
}

/// A workspace by version, where this isolate has it.
pub fn known(version: &str) -> Option<Rc<Workspace>> {
    KNOWN.with_borrow(|known| known.find(version))
}

/// A workspace by version. Errors: `no_workspace`, `unavailable`.
pub async fn version(env: &Env, tenant: &str, version: &str) -> Result<Rc<Workspace>, Fault> {
    if let Some(known) = known(version) {
        return Ok(known);
    }
    let stub = objects::tenant(env, tenant)?;
    let image: Option<Vec<u8>> = objects::post(&stub, "image", &version).await?;
    let image = image.ok_or_else(none)?;
    let workspace = load(&image)?;
    Ok(KNOWN.with_borrow_mut(|known| known.keep(workspace)))
}

/// Makes a workspace the current one of this isolate.
pub fn replace(workspace: Workspace, now: Timestamp) -> Rc<Workspace> {
    KNOWN.with_borrow_mut(|known| {
        let workspace = known.keep(workspace);
        known.current = Some(Rc::clone(&workspace));
        known.asked = Some(now);
        workspace
    })
}

fn load(image: &[u8]) -> Result<Workspace, Fault> {
    Workspace::from_bytes(image).map_err(|_| none())
}

fn none() -> Fault {
    Fault::new(503, "no_workspace", "no workspace is published yet", "").with("retry-after", "5")
}
