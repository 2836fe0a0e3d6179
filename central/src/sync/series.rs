//! Series of what was imported, counted anew from the stored events each time, so that a late or
//! erased row needs no repair. Web events are the edge's to count.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::ids::ProfileName;
use selvedge::profile::{Entry, Series, metric_key};

use crate::storage::{Result, Snapshot};

/// Events read at a time.
const PAGE: u32 = 1_000;

/// A person's series under the metrics that the edge asked for; those without an event are absent.
pub(super) async fn of(
    snapshot: &mut dyn Snapshot,
    person: &ProfileName,
) -> Result<BTreeMap<String, Series>> {
    let mut properties: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (event, property) in snapshot.metrics().await? {
        properties.entry(event).or_default().insert(property);
    }
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    for (event, properties) in &properties {
        let mut after = None;
        loop {
            let page = snapshot.imported(person, event, after, PAGE).await?;
            let Some((time, key, _)) = page.last() else { break };
            after = Some((*time, *key));
            for (time, key, values) in &page {
                for property in properties {
                    let value = values.get(property).cloned();
                    let entry = Entry { time: *time, key: *key, value };
                    series.entry(metric_key(event, property)).or_default().add(entry);
                }
            }
        }
    }
    Ok(series)
}
