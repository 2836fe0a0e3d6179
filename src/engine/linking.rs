//! Login and logout: which device speaks for which person, and what history goes along.

use super::audiences;
use super::{Answer, Body, Effect, Login, Reply, State, Turn};
use crate::consent::{Consent, Effective, Profiling, Store};
use crate::error::Error;
use crate::ids::{DeviceId, EventKey, ProfileName};
use crate::limits;
use crate::profile::{DeviceLink, Profile, Source, Stamp};
use crate::time::Timestamp;
use crate::wire::Fact;

pub(super) fn login(state: &mut State, turn: &mut Turn<'_>, login: &Login) -> Answer {
    let (Some(device), Some(person)) = (login.speaker.device, login.speaker.profile.clone()) else {
        return Err(Error::new("no_device", "a login links a device", "device"));
    };
    let profile = match &mut state.body {
        Body::Erased(_) => return Ok(Reply::Erased),
        Body::Moved(to) => return Ok(Reply::Moved(to.clone())),
        Body::Live(profile) => profile,
    };
    let linked = profile.devices.get(&device).filter(|link| link.logged_out.is_none());
    if login.evidence_known {
        // The same device asking again is a retry whose answer was lost; any other is a replay.
        return match linked {
            Some(link) => Ok(Reply::LoggedIn { person, attached: link.attached, refused: None }),
            None => Err(Error::new("token_replayed", "this token was used before", "token")),
        };
    }
    let mut of_person = profile.consent;
    of_person.adopt(&login.consent);
    let mut of_device = profile.devices.get(&device).map_or(Consent::default(), |l| l.consent);
    of_device.join(&login.consent);
    let effective = Effective::of(
        Some(&of_person),
        Some(&of_device),
        &login.speaker.signals,
        &turn.workspace.consent,
    );
    let refused = |code: &str| Reply::LoggedIn {
        person: person.clone(),
        attached: false,
        refused: Some(code.into()),
    };
    let (Some(_), Some(permit)) = (effective.permit::<Store>(), effective.permit::<Profiling>())
    else {
        return Ok(refused("no_consent"));
    };
    if linked.is_none() && !has_room(profile, turn.now) {
        return Ok(refused("too_many_devices"));
    }
    profile.consent = of_person;
    let link = profile.devices.entry(device).or_insert_with(|| DeviceLink {
        object: login.from.clone(),
        linked: turn.now,
        authenticated_until: turn.now,
        logged_out: None,
        attached: false,
        consent: of_device,
        region: login.speaker.signals.region.clone(),
    });
    link.consent = of_device;
    link.logged_out = None;
    link.authenticated_until = turn.now.plus_ms(limits::AUTHENTICATED_MS);
    let history = login.history.as_ref().filter(|_| !link.attached);
    link.attached |= history.is_some();
    if let Some(history) = history {
        profile.attach(permit, device, history);
    }
    for (name, value) in &login.traits {
        let stamp = Stamp { time: turn.now, counter: 0, source: Source::Token };
        profile.set_trait(permit, name, Some(value.clone()), stamp);
    }
    let attached = history.is_some();
    state.name.get_or_insert_with(|| person.clone());
    let forget = turn.now.plus_ms(limits::TOKEN_AGE_MS + limits::DAY);
    turn.effects.push(Effect::Remember(EventKey::of(&login.evidence), forget));
    let evidence = login.evidence.clone();
    turn.queue(state, Fact::Link { device, from: login.from.clone(), attached, evidence })?;
    turn.effects.push(Effect::Hydrate(person.clone()));
    Ok(Reply::LoggedIn { person, attached, refused: None })
}

/// Whether one more device may be linked (DESIGN.md section 6, rule 8).
fn has_room(profile: &Profile, now: Timestamp) -> bool {
    let recent =
        profile.devices.values().filter(|link| now.since_ms(link.linked) < limits::YEAR).count();
    recent < limits::DEVICES_PER_YEAR && profile.devices.len() < limits::LINKS
}

pub(super) fn logout(state: &mut State, turn: &mut Turn<'_>, device: DeviceId) -> Answer {
    let Body::Live(profile) = &mut state.body else {
        return Ok(Reply::LoggedOut { consent: Consent::default() });
    };
    let Some(link) = profile.devices.get_mut(&device).filter(|link| link.logged_out.is_none())
    else {
        return Ok(Reply::NotLinked);
    };
    link.logged_out = Some(turn.now);
    let consent = link.consent;
    profile.sessions.remove(&device);
    turn.queue(state, Fact::Unlink { device })?;
    Ok(Reply::LoggedOut { consent })
}

pub(super) fn hand_over(
    state: &State,
    now: Timestamp,
    device: DeviceId,
    _to: &ProfileName,
) -> Answer {
    Ok(match &state.body {
        Body::Erased(_) => Reply::Erased,
        Body::Moved(_) => Reply::HandedOver { history: None, consent: Consent::default() },
        Body::Live(profile) => {
            // What is here was captured under a permit, and a withdrawal would have dropped it.
            let history = profile.holds_profile().then(|| profile.hand_over(device, now));
            Reply::HandedOver { history, consent: profile.consent }
        }
    })
}

/// Queued facts stay queued: they were accepted, and the link says whose they are.
pub(super) fn move_to(state: &mut State, turn: &mut Turn<'_>, to: &ProfileName) -> Answer {
    match &state.body {
        Body::Erased(_) => return Ok(Reply::Erased),
        Body::Moved(known) if known == to => return Ok(Reply::Done),
        Body::Moved(_) | Body::Live(_) => {}
    }
    audiences::leave(state, turn)?;
    state.body = Body::Moved(to.clone());
    Ok(Reply::Done)
}
