//! The file that a server loads to decide by itself: what its JavaScript has to know, and the image
//! for the core. It must never hold what decisions do not need.

use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::decide::Code;
use crate::error::Error;
use crate::rule::{Kind, Slot};
use crate::slice::Slice;
use crate::workspace::Workspace;

/// Version of the file; another one is refused.
const FORMAT: u32 = 1;
/// What stands before the names of traits and of a request's fields in the paths of slots.
const TRAIT: &str = "profile.";
const FIELD: &str = "request.";

/// The file of a workspace: how long the names are (32 bits, little-endian), the names as JSON, and
/// the image. Errors: `image_too_large`.
pub fn evaluator_file(workspace: &Workspace) -> Result<Vec<u8>, Error> {
    let part = workspace.for_evaluator();
    let image = part.to_bytes()?;
    let names = names(&part).to_string();
    let length = u32::try_from(names.len())
        .map_err(|_| Error::new("image_too_large", "the workspace cannot be written", ""))?;
    Ok([&length.to_le_bytes(), names.as_bytes(), &image].concat())
}

fn names(part: &Workspace) -> Value {
    let brief = part.rules.brief_slots();
    let slots = (0..).zip(part.rules.paths()).filter_map(|(number, (path, kind))| {
        let (name, is_trait) = match path.strip_prefix(TRAIT) {
            Some(name) => (name, true),
            None => (path.strip_prefix(FIELD)?, false),
        };
        Some(json!({
            "number": number,
            "name": name,
            "isTrait": is_trait,
            "isTime": kind == Some(Kind::Timestamp),
            "isBrief": brief.contains(&Slot(number)),
        }))
    });
    let slots: Vec<Value> = slots.collect();
    let traits = slots.iter().zip(0..).filter(|(slot, _)| slot["isTrait"] == true);
    let traits = traits.map(|(slot, place)| json!([slot["name"], place]));
    json!({
        "format": FORMAT,
        "version": part.version,
        "head": Slice::head(part),
        "slots": slots,
        "traits": traits.collect::<Value>(),
        "placements": part.placements.iter().map(|one| &one.name).collect::<Vec<_>>(),
        "variants": part.experiments.iter().map(|one| &one.variants).collect::<Vec<_>>(),
        "codes": Code::WORDS,
    })
}
