//! Looks up profiles in the configuration files that AWS's tools share.

use std::borrow::Cow;

use aws_config::profile;
use aws_types::os_shim_internal::{Env, Fs};

/// A profile that the configuration files don't define.
#[derive(Debug)]
pub(super) struct MissingProfile {
    /// The profile's name.
    pub name: String,
    /// The profiles that the files define, in alphabetical order.
    pub known: Vec<String>,
}

/// Returns the named profile, or without a name that of `AWS_PROFILE`, if the configuration files don't define it.
pub(super) async fn missing_profile(name: Option<&str>) -> Option<MissingProfile> {
    missing_in(&Fs::real(), &Env::real(), name).await
}

async fn missing_in(files: &Fs, environment: &Env, name: Option<&str>) -> Option<MissingProfile> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => environment.get("AWS_PROFILE").ok().filter(|name| !name.is_empty())?,
    };
    let selected = Some(Cow::Owned(name.clone()));
    // A file that can't be read or parsed is the credential provider's error, which says more.
    let profiles = profile::load(files, environment, &Default::default(), selected).await.ok()?;
    if profiles.get_profile(&name).is_some() {
        return None;
    }
    let mut known: Vec<_> = profiles.profiles().map(str::to_owned).collect();
    known.sort();
    Some(MissingProfile { name, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile jitsi]\nregion = eu-west-1\n";

    async fn missing(name: Option<&str>, environment: &[(&str, &str)]) -> Option<(String, Vec<String>)> {
        let files = Fs::from_slice(&[("/config", CONFIG)]);
        let environment = Env::from_slice(&[environment, &[("AWS_CONFIG_FILE", "/config"), ("HOME", "/")]].concat());
        missing_in(&files, &environment, name).await.map(|missing| (missing.name, missing.known))
    }

    #[tokio::test]
    async fn a_profile_that_no_file_defines_is_missing() {
        let known = || vec!["default".to_owned(), "jitsi".to_owned()];
        assert_eq!(missing(Some("nope"), &[]).await, Some(("nope".to_owned(), known())));
        assert_eq!(missing(None, &[("AWS_PROFILE", "gone")]).await, Some(("gone".to_owned(), known())));
    }

    #[tokio::test]
    async fn a_defined_profile_or_none_at_all_is_not_missing() {
        for (name, environment) in [
            (Some("jitsi"), &[][..]),
            (None, &[("AWS_PROFILE", "jitsi")][..]),
            (None, &[][..]),
            (None, &[("AWS_PROFILE", "")][..]),
        ] {
            assert_eq!(missing(name, environment).await, None, "{name:?} {environment:?}");
        }
    }
}
