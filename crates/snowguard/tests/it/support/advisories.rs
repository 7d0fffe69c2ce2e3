//! Small advisories of our own, in the form of facts.

use serde_json::{Value, json};

/// Records to import.
pub(crate) struct Advisories(Vec<Value>);

impl Advisories {
    /// What most tests scan against: something of every status for [`super::System::usual`], the
    /// newest of three days ago.
    pub(crate) fn usual() -> Self {
        let mut all = Self::aged(3);
        all.add(json!({
            "id": "CVE-2021-3156", "published": "2021-01-26",
            "summary": "Heap-based buffer overflow in sudoedit",
            "severities": [{"vector": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}],
            "exploited": {"since": "2022-04-06", "due": "2022-04-27"},
            "epss": {"probability": 0.92, "percentile": 0.99},
            "ssvc": {"exploitation": "active", "automatable": false, "total_impact": true},
            "affects": [{"products": ["a/sudo-project:sudo"], "default": "unaffected", "rules": [">=1.8.2 <1.8.32", ">=1.9.0 <1.9.5p2"]}],
        }))
        .add(json!({
            "id": "CVE-2021-3711", "published": "2021-08-24",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": ["openssl:openssl"], "by": "openssl", "upstream": true, "default": "unaffected", "rules": [">=1.1.1 <1.1.1l"]}],
        }))
        .add(json!({
            "id": "CVE-2021-3712", "published": "2021-08-24",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:H"}],
            "affects": [{"products": ["openssl:openssl"], "by": "openssl", "upstream": true, "default": "unaffected", "rules": [">=1.1.1 <1.1.1l"]}],
        }))
        .add(json!({
            "id": "CVE-2016-2108", "published": "2016-05-03",
            "severities": [{"vector": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": ["openssl:openssl"], "by": "openssl", "upstream": true, "default": "unaffected", "rules": [">=1.0.1 <1.0.1o"]}],
        }))
        .add(json!({
            "id": "CVE-2020-8284", "published": "2020-12-14",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"}],
            "affects": [{"products": ["a/haxx:curl"], "by": "nvd", "default": "unaffected", "rules": ["<=7.73.0"]}],
        }))
        .add(json!({
            "id": "CVE-2020-35521", "published": "2021-03-09",
            "severities": [{"vector": "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H"}],
            "affects": [{"products": ["a/libtiff:libtiff"], "default": "unaffected", "rules": ["<=4.1.0"]}],
        }))
        .add(json!({
            "id": "CVE-2023-50967", "published": "2024-03-20",
            "affects": [{"products": [":jose", "latchset:jose"], "rules": ["\"up to the release of spring\""]}],
        }))
        .add(json!({
            "id": "GHSA-2g68-c3qc-8985", "aliases": ["CVE-2024-34069"], "published": "2024-05-06",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": ["pkg:pypi/werkzeug"], "default": "unaffected", "rules": ["<3.0.3"]}],
        }))
        .add(json!({
            "id": "CVE-2023-5214", "published": "2023-10-06",
            "severities": [{"vector": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": ["puppet:bolt", "a/puppet:bolt"], "by": "puppet", "default": "unaffected", "rules": ["<3.27.4"]}],
        }));
        all
    }

    /// None but one about something that nobody has, so many days old.
    pub(crate) fn aged(days: i32) -> Self {
        Self(vec![json!({
            "id": "CVE-2025-0001", "published": days_ago(days), "modified": days_ago(days),
            "affects": [{"products": ["nobody:nothing"], "default": "unaffected", "rules": ["<1.0"]}],
        })])
    }

    pub(crate) fn add(&mut self, record: Value) -> &mut Self {
        self.0.push(record);
        self
    }

    /// As JSON lines.
    pub(crate) fn lines(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(Value::to_string).collect();
        lines.join("\n") + "\n"
    }
}

/// A day, written.
pub(crate) fn days_ago(days: i32) -> String {
    days_from_now(-days)
}

/// A day, written.
pub(crate) fn days_from_now(days: i32) -> String {
    let span = jiff::Span::new().days(days);
    super::today().checked_add(span).unwrap().to_string()
}
