//! A release: the digest that binds model, data, code, environment and configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything a release binds, by content. The same content gives the same digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseContent {
    /// Digest of the model's files.
    pub model: String,
    /// Dataset versions behind the model and its evidence: name → digest.
    pub datasets: BTreeMap<String, String>,
    /// Digest of the code snapshot: project file, SQL, code files.
    pub code: String,
    /// Environments of the steps behind the model: step → digest.
    pub environments: BTreeMap<String, String>,
    /// The configuration that serves it: endpoint and gates, as canonical text.
    pub configuration: BTreeMap<String, String>,
}

impl ReleaseContent {
    /// The digest: BLAKE3, in hex, over every name and value, each preceded by its length.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("perennial release v1");
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(&self.model);
        part(&self.code);
        for map in [&self.datasets, &self.environments, &self.configuration] {
            part(&map.len().to_string());
            for (name, value) in map {
                part(name);
                part(value);
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::ReleaseContent;

    fn content() -> ReleaseContent {
        let pair = |a: &str, b: &str| [(a.to_owned(), b.to_owned())].into();
        ReleaseContent {
            model: "m".into(),
            datasets: pair("flights", "1"),
            code: "c".into(),
            environments: pair("train", "e"),
            configuration: pair("gate:better", "true"),
        }
    }

    #[test]
    fn the_same_content_gives_the_same_digest_and_any_change_another() {
        let base = content();
        assert_eq!(base.digest(), content().digest());
        let mut changed = vec![content(); 5];
        changed[0].model.push('x');
        changed[1].datasets.insert("weather".into(), "2".into());
        changed[2].code.push('x');
        changed[3].environments.clear();
        changed[4].configuration.insert("gate:better".into(), "false".into());
        for other in changed {
            assert_ne!(base.digest(), other.digest());
        }
    }

    #[test]
    fn names_do_not_flow_from_one_map_into_the_next() {
        let mut a = content();
        let mut b = content();
        a.environments.clear();
        a.datasets.insert("train".into(), "e".into());
        b.datasets.clear();
        b.environments.insert("flights".into(), "1".into());
        assert_ne!(a.digest(), b.digest());
    }
}
