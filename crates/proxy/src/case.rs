//! One request: what is said of it, what it is counted on, and what will be written down.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::build::{Active, Denied, Group, Judgement, MOST_DENIALS, judge};
use crate::connection::NoBody;
use crate::evidence::{self, shown};
use crate::exchange::{Destination, is_good};
use crate::metrics::add;
use crate::serve::Shared;
use crate::upstream::Fault;
use crate::who::Who;
use crate::wire::head::{Asked, HeadError};

/// A request on its way: what is judged, and what will be written down.
pub(crate) struct Case<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) judgement: Judgement,
    pub(crate) record: Box<evidence::Request>,
    /// Whether a part of the body of the request was left unread: nothing more can come on that connection.
    pub(crate) spoilt: bool,
    began: Instant,
    /// Whether a limit was exceeded before: that is told once, and more of it only counted.
    pub(crate) silent: bool,
    is_written: bool,
    _active: Option<Active>,
}

impl<'s> Case<'s> {
    /// Judges a request.
    pub(crate) fn open(
        shared: &'s Shared,
        who: &Who,
        method: &str,
        to: &Destination,
        url: &str,
    ) -> Self {
        let mut judgement = judge(&who.builds, &to.wanted(), shared.is_lenient());
        let allowed_to = who.group.as_ref().map(|group| group.follows(digest(url)));
        if let Some(Err(denial)) = allowed_to {
            judgement.denial.get_or_insert(denial);
        }
        let own: Vec<Box<str>> = judgement
            .builds
            .iter()
            .flat_map(|build| build.fod.urls.iter().cloned())
            .collect();
        let record = evidence::Request {
            method: method.into(),
            url: shown(url, &own),
            protocol: to.protocol.as_str(),
            host: to.authority.host.clone(),
            port: to.port(),
            verdict: "allowed",
            because: judgement.because.clone(),
            ..evidence::Request::default()
        };
        let mut case = Self::of(shared, who, judgement, record);
        if case.record.verdict == "allowed" && who.group.is_none() && shared.is_lenient() {
            case.record.verdict = "would-deny";
            case.record.reason = Some("unattributed".to_owned());
        }
        if shared.sink.has_failed() && !shared.is_lenient() {
            case.note_denial("no-evidence", NO_EVIDENCE);
        }
        case
    }

    /// One that is refused before it can be judged, with what it seems to ask for.
    pub(crate) fn refused(
        shared: &'s Shared,
        who: &Who,
        asked: Option<&Asked>,
        error: HeadError,
    ) -> Self {
        let judgement = Judgement {
            builds: who.builds.clone(),
            ..Judgement::default()
        };
        Self::of(shared, who, judgement, refusal(asked, error))
    }

    /// Counts one, and says whose it is.
    fn of(
        shared: &'s Shared,
        who: &Who,
        mut judgement: Judgement,
        record: evidence::Request,
    ) -> Self {
        add(&shared.metrics.asked, 1);
        let mut silent = false;
        if let Some(group) = &who.group {
            let limit = group.ask().err();
            silent = limit.is_some() && !shared.is_lenient() && !group.is_first_excess();
            judgement.denial = judgement.denial.or(limit);
        }
        let builds = &judgement.builds;
        let mut record = Box::new(evidence::Request {
            session: who.group.as_ref().map(|group| group.id),
            derivations: builds
                .iter()
                .take(8)
                .map(|build| build.drv.clone())
                .collect(),
            attributed: who.how,
            pid: who.pid,
            ..record
        });
        if let [one] = &**builds {
            record.name = Some(one.fod.name.clone());
            record.output = Some(one.fod.output.clone());
        }
        if let Some(name) = who.group.as_ref().and_then(|group| group.name.clone()) {
            record.name = Some(name);
        }
        for build in builds {
            build.tally().requests += 1;
        }
        let mut case = Self {
            shared,
            group: who.group.clone(),
            judgement,
            record,
            spoilt: false,
            began: Instant::now(),
            silent,
            is_written: false,
            _active: who.group.as_ref().map(Group::enter),
        };
        if let Some(denial) = case.judgement.denial.take() {
            case.deny(&denial);
        }
        case
    }

    /// Notes that it is denied, or would be.
    pub(crate) fn deny(&mut self, denial: &snowguard_fod::policy::Denial) {
        self.note_denial(
            denial.as_str(),
            &format!("{denial}\nhint: {}", denial.remedy()),
        );
    }

    pub(crate) fn note_denial(&mut self, reason: &str, detail: &str) {
        let lenient = self.shared.is_lenient();
        self.record.verdict = if lenient { "would-deny" } else { "denied" };
        self.record.reason = Some(reason.to_owned());
        self.record.detail = Some(detail.to_owned());
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.record.verdict == "denied"
    }

    /// Notes that it failed on the way.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        if let Fault::Denied(denial) = fault {
            self.deny(denial);
            return;
        }
        let untrusted = matches!(fault, Fault::Untrusted(_));
        for build in &self.judgement.builds {
            let mut tally = build.tally();
            if untrusted {
                tally.untrusted += 1;
            } else {
                tally.faults += 1;
            }
        }
        add(&self.shared.metrics.faults, 1);
        self.record
            .reason
            .get_or_insert_with(|| fault.as_str().to_owned());
        self.record.detail.get_or_insert_with(|| fault.to_string());
    }

    /// What is said to who asked: what happened and what to do.
    pub(crate) fn text(&self) -> String {
        let record = &self.record;
        let what = if self.is_denied() { "denied" } else { "failed" };
        format!(
            "snowguard: {what}: {} {}: {}",
            record.method,
            record.url,
            record.detail.as_deref().unwrap_or("no reason is known")
        )
    }

    /// Counts bytes that came or went; a limit is an end where limits hold.
    pub(crate) fn take(&mut self, sent: u64, received: u64) -> Result<(), NoBody> {
        self.record.sent += sent;
        self.record.received += received;
        let Some(group) = &self.group else {
            return Ok(());
        };
        match group.take(sent + received) {
            Ok(()) => Ok(()),
            Err(denial) => {
                if self.record.verdict == "allowed" {
                    self.deny(&denial);
                }
                if self.shared.is_lenient() {
                    Ok(())
                } else {
                    Err(NoBody::Denied(denial))
                }
            }
        }
    }

    /// Writes it down.
    pub(crate) async fn close(mut self) {
        if let Some(line) = self.finish() {
            self.shared.sink.hand_over(line).await;
        }
    }

    /// Writes down that it begins, before anything is carried: whatever ends the proxy, that is known.
    pub(crate) async fn begin(&mut self) {
        let record = evidence::Record::Tunnel(self.record.clone());
        if let Some(line) = self
            .shared
            .sink
            .line(&record)
            .filter(|line| self.has_room(line))
        {
            self.shared.sink.hand_over(line).await;
            self.shared.sink.written().await;
        }
        if self.shared.sink.has_failed() && !self.shared.is_lenient() {
            self.note_denial("no-evidence", NO_EVIDENCE);
        }
    }

    /// Whether the builds that it is of may write that much more.
    fn has_room(&self, line: &evidence::Line) -> bool {
        let share = self.shared.sink.share();
        let group = self.group.as_ref();
        group.is_none_or(|group| group.note(line.length()) <= share)
    }

    /// Counts it; what is to be written.
    fn finish(&mut self) -> Option<evidence::Line> {
        self.is_written = true;
        self.record.milliseconds =
            u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let metrics = &self.shared.metrics;
        let verdict = match self.record.verdict {
            "denied" => &metrics.denied,
            "would-deny" => &metrics.would_deny,
            "refused" => &metrics.refused,
            _ => &metrics.allowed,
        };
        add(verdict, 1);
        add(&metrics.sent, self.record.sent);
        add(&metrics.received, self.record.received);
        for build in &self.judgement.builds {
            let mut tally = build.tally();
            tally.sent += self.record.sent;
            tally.received += self.record.received;
            // What is refused as malformed is nothing that a policy allows either.
            let is_stopped = matches!(self.record.verdict, "denied" | "refused");
            let would_stop = self.record.verdict == "would-deny";
            tally.denied += u64::from(is_stopped);
            if (is_stopped || would_stop) && tally.denials.len() < MOST_DENIALS {
                tally.denials.push(Denied {
                    protocol: self.record.protocol,
                    host: self.record.host.clone(),
                    port: self.record.port,
                    reason: self.record.reason.clone().unwrap_or_default(),
                    detail: self.record.detail.clone().unwrap_or_default(),
                });
            }
            tally.would_deny += u64::from(would_stop);
            if let Some(status) = self.record.status
                && !self.is_denied()
                && self.record.method.as_ref() != "CONNECT"
            {
                *tally.statuses.entry(status).or_default() += 1;
                tally.came += u64::from(is_good(status) && self.record.body.is_some());
            }
        }
        let record = evidence::Record::Request(std::mem::take(&mut self.record));
        let line = self.shared.sink.line(&record);
        let line = line.filter(|line| !self.silent && self.has_room(line));
        if line.is_none() {
            for build in &self.judgement.builds {
                build.tally().not_written += 1;
            }
        }
        line
    }
}

/// What is not carried to its end, since the proxy ends, is written down all the same.
impl Drop for Case<'_> {
    fn drop(&mut self) {
        if self.is_written {
            return;
        }
        self.record
            .reason
            .get_or_insert_with(|| "aborted".to_owned());
        if let Some(line) = self.finish() {
            self.shared.sink.hand_over_now(line);
        }
    }
}

/// Why nothing is carried where nothing can be written down.
pub(crate) const NO_EVIDENCE: &str = "evidence cannot be written, so nothing is carried";

/// What is written down of a head that is refused.
pub(crate) fn refusal(asked: Option<&Asked>, error: HeadError) -> evidence::Request {
    let mut record = evidence::Request {
        protocol: "http",
        verdict: "refused",
        reason: Some("malformed-request".to_owned()),
        detail: Some(error.to_string()),
        ..evidence::Request::default()
    };
    if let Some(asked) = asked {
        let port = match asked.scheme {
            "https" => 443,
            "ftp" => 21,
            _ => 80,
        };
        let url = format!("{}://{}{}", asked.scheme, asked.authority, asked.path);
        record.method.clone_from(&asked.method);
        record.url = shown(&url, &[]);
        record.protocol = asked.scheme;
        record.host.clone_from(&asked.authority.host);
        record.port = asked.authority.port.unwrap_or(port);
    }
    record
}

/// The key of an address, among redirects.
pub(crate) fn digest(url: &str) -> [u8; 32] {
    Sha256::digest(url.as_bytes()).into()
}
