//! What operators watch of the data: jobs, and how old channels and feeds are.

use std::fmt::Write as _;

use jiff::Timestamp;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::jobs::{JobState, Jobs as _};
use snowguard_db::{Database, DbError};

/// The text that Prometheus reads. Source: its text-based exposition format, 0.0.4. Ages are told as times,
/// so that they grow while nobody asks.
pub fn text(db: &Database) -> Result<String, DbError> {
    db.read(|session| {
        let mut out = Family::default();
        out.begin(
            "snowguard_tracker_jobs",
            "Jobs that wait, run, or were given up and not yet forgotten.",
        );
        for count in session.job_counts()? {
            let state = match count.state {
                JobState::Queued => "waiting",
                JobState::Running => "running",
                JobState::Done => "done",
                JobState::Failed => "failed",
            };
            let value = count.count.to_string();
            out.value(&[("kind", &count.kind), ("state", state)], &value);
        }
        out.begin(
            "snowguard_tracker_job_done_timestamp_seconds",
            "When a job of the kind was done last.",
        );
        for (kind, at) in session.jobs_done()? {
            out.value(&[("kind", &kind)], &seconds(at));
        }
        out.begin(
            "snowguard_tracker_stale_packages",
            "Packages that are to be matched anew.",
        );
        let rows = session.query("SELECT count(*) FROM stale WHERE package > 0", &[])?;
        let stale: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        out.value(&[], &stale.to_string());
        let channels: Vec<_> = session
            .channels()?
            .into_iter()
            .filter(|channel| channel.is_followed)
            .collect();
        out.begin(
            "snowguard_tracker_channel_head_timestamp_seconds",
            "When the newest package set of the channel was made.",
        );
        for channel in &channels {
            let head = match channel.head {
                Some(head) => session.evaluation(head)?,
                None => None,
            };
            if let Some(head) = head {
                out.value(&[("channel", &channel.name)], &seconds(head.evaluated_at));
            }
        }
        out.begin(
            "snowguard_tracker_channel_looked_timestamp_seconds",
            "When the source of the channel was looked at last.",
        );
        for channel in &channels {
            if let Some(poll) = &channel.poll {
                out.value(&[("channel", &channel.name)], &seconds(poll.at));
            }
        }
        out.begin(
            "snowguard_tracker_channel_trouble",
            "Whether the last look at the channel failed.",
        );
        for channel in &channels {
            if let Some(poll) = &channel.poll {
                let trouble = if poll.trouble.is_some() { "1" } else { "0" };
                out.value(&[("channel", &channel.name)], trouble);
            }
        }
        let feeds = session.record_sources()?;
        out.begin("snowguard_tracker_feed_records", "Records of the feed.");
        for feed in &feeds {
            let records = feed.totals.records.to_string();
            out.value(&[("feed", &feed.name)], &records);
        }
        out.begin(
            "snowguard_tracker_feed_looked_timestamp_seconds",
            "When it was last looked whether the feed changed.",
        );
        for feed in &feeds {
            if let Some(at) = feed.looked_at {
                out.value(&[("feed", &feed.name)], &seconds(at));
            }
        }
        out.begin(
            "snowguard_tracker_feed_changed_timestamp_seconds",
            "When something of the feed changed last.",
        );
        for feed in &feeds {
            if let Some(at) = feed.changed_at {
                out.value(&[("feed", &feed.name)], &seconds(at));
            }
        }
        Ok(out.text)
    })
}

#[derive(Default)]
struct Family {
    text: String,
    name: &'static str,
}

impl Family {
    fn begin(&mut self, name: &'static str, help: &str) {
        self.name = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn value(&mut self, labels: &[(&str, &str)], value: &str) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

/// What stands between quotes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn seconds(at: Timestamp) -> String {
    at.as_second().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_between_their_quotes() {
        let mut family = Family::default();
        family.begin("age", "How old.");
        family.value(&[("channel", "a\"} 1\nb\\")], "2");
        insta::assert_snapshot!(family.text, @r#"
        # HELP age How old.
        # TYPE age gauge
        age{channel="a\"} 1\nb\\"} 2
        "#);
    }
}
