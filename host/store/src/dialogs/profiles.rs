//! How many dialogs are in each profile, and in each value of it.
//!
//! Bounded by the dialogs: a profile is here while a dialog is in it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashMap;

use super::dialog::Membership;

#[derive(Debug, Default)]
struct Profile {
    all: usize,
    values: HashMap<Box<str>, usize, ahash::RandomState>,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Profiles(RwLock<HashMap<Box<str>, Profile, ahash::RandomState>>);

impl Profiles {
    pub(super) fn enter(&self, membership: &Membership) {
        let mut profiles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let profile = profiles.entry(membership.profile.clone()).or_default();
        profile.all += 1;
        if let Some(value) = &membership.value {
            *profile.values.entry(value.clone()).or_default() += 1;
        }
    }

    pub(super) fn leave(&self, membership: &Membership) {
        let mut profiles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(profile) = profiles.get_mut(&membership.profile) else {
            return;
        };
        profile.all = profile.all.saturating_sub(1);
        if let Some(value) = &membership.value
            && let Some(count) = profile.values.get_mut(value)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                profile.values.remove(value);
            }
        }
        if profile.all == 0 {
            profiles.remove(&membership.profile);
        }
    }

    /// How many are in the profile, or in that value of it.
    pub(super) fn size(&self, profile: &str, value: Option<&str>) -> usize {
        let profiles = self.read();
        let profile = profiles.get(profile);
        profile.map_or(0, |profile| match value {
            None => profile.all,
            Some(value) => profile.values.get(value).copied().unwrap_or(0),
        })
    }

    /// Each profile with how many are in it, in order of their names.
    pub(super) fn sizes(&self) -> Vec<(String, usize)> {
        let profiles = self.read();
        let mut sizes: Vec<_> = profiles
            .iter()
            .map(|(name, profile)| ((**name).to_owned(), profile.all))
            .collect();
        sizes.sort();
        sizes
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Profile, ahash::RandomState>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
