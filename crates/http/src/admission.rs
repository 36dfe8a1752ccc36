//! Admission: how many requests of each class are in flight, and to whom they are charged.

use std::net::{IpAddr, Ipv4Addr};

use http::StatusCode;
use http::request::Parts;
use perennial_core::{Error, ErrorCode};

use crate::error::HttpError;
use crate::limits;
use crate::quota::{Exceeded, Holder, Permit, Quota};
use crate::server::PeerAddr;

/// Requests that share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Answered as soon as possible.
    Ordinary,
    /// Waits for an event, for seconds.
    LongPoll,
    /// Asks whether the server is alive, which needs no more than a thread: the connections alone bound it.
    Liveness,
    /// Asks whether the server is ready.
    Probe,
    /// Reads the metrics.
    Scrape,
}

impl RequestClass {
    /// Whether a request is answered when the server is too busy for other requests, or has lost its lease.
    pub(crate) fn is_of_operations(self) -> bool {
        matches!(self, Self::Liveness | Self::Probe | Self::Scrape)
    }
}

/// A kind of requests, of which so many may be in flight.
struct Requests {
    /// What they are called in a refusal.
    noun: &'static str,
    quota: Quota,
}

impl Requests {
    fn new(noun: &'static str, total_max: usize, share_max: usize) -> Self {
        Self { noun, quota: Quota::new(total_max as u64, share_max as u64) }
    }

    fn admit(&self, holder: Holder) -> Result<Permit, HttpError> {
        self.quota.acquire(holder, 1).map_err(|exceeded| {
            let (max, noun) = (self.quota.max(exceeded), self.noun);
            let busy = |message| Error::new(ErrorCode::Busy, message).with_hint("try again in a moment");
            match exceeded {
                Exceeded::Total => busy(format!("{max} {noun} are in flight")).into(),
                Exceeded::Share => {
                    let error = busy(format!("{max} {noun} of yours are in flight"));
                    HttpError::with_status(error, StatusCode::TOO_MANY_REQUESTS)
                }
            }
        })
    }
}

/// The quotas of a server.
pub(crate) struct Quotas {
    ordinary: Requests,
    long_polls: Requests,
    probes: Requests,
    scrapes: Requests,
    large_predictions: Requests,
    public: Requests,
    authentications: Requests,
    /// Bytes of bodies.
    pub(crate) body_bytes: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            ordinary: Requests::new("requests", limits::REQUESTS_MAX, limits::REQUESTS_SHARE_MAX),
            long_polls: Requests::new("long polls", limits::LONG_POLLS_MAX, limits::LONG_POLLS_SHARE_MAX),
            probes: Requests::new("probes", limits::PROBES_MAX, limits::PROBES_SHARE_MAX),
            scrapes: Requests::new("requests for metrics", limits::SCRAPES_MAX, limits::SCRAPES_SHARE_MAX),
            large_predictions: Requests::new(
                "large predictions",
                limits::LARGE_PREDICTIONS_MAX,
                limits::LARGE_PREDICTIONS_SHARE_MAX,
            ),
            public: Requests::new(
                "requests without credentials",
                limits::PUBLIC_REQUESTS_MAX,
                limits::PUBLIC_REQUESTS_SHARE_MAX,
            ),
            authentications: Requests::new(
                "requests to authenticate",
                limits::AUTHENTICATIONS_MAX,
                limits::AUTHENTICATIONS_SHARE_MAX,
            ),
            body_bytes: Quota::new(limits::BODY_BYTES_TOTAL_MAX, limits::BODY_BYTES_SHARE_MAX),
        }
    }
}

impl Quotas {
    /// Admits a request that needs no credentials; `None` for one that no quota bounds.
    pub(crate) fn public(&self, class: RequestClass, peer: Holder) -> Result<Option<Permit>, HttpError> {
        match class {
            RequestClass::Liveness => Ok(None),
            RequestClass::Probe => self.probes.admit(peer).map(Some),
            RequestClass::Ordinary | RequestClass::LongPoll | RequestClass::Scrape => self.public.admit(peer).map(Some),
        }
    }

    /// Admits the computation of a large prediction.
    pub(crate) fn large_prediction(&self, principal: Holder) -> Result<Permit, HttpError> {
        self.large_predictions.admit(principal)
    }

    /// Admits a request to authentication.
    pub(crate) fn authentication(&self, peer: Holder) -> Result<Permit, HttpError> {
        self.authentications.admit(peer)
    }

    /// Admits a request of an authenticated principal.
    pub(crate) fn authenticated(&self, class: RequestClass, principal: Holder) -> Result<Permit, HttpError> {
        match class {
            RequestClass::LongPoll => self.long_polls.admit(principal),
            RequestClass::Scrape => self.scrapes.admit(principal),
            RequestClass::Ordinary | RequestClass::Liveness | RequestClass::Probe => self.ordinary.admit(principal),
        }
    }
}

/// The peer of a request. Requests that did not come over a connection have one peer.
pub(crate) fn peer(parts: &Parts) -> Holder {
    let address = parts.extensions.get::<PeerAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    Holder::peer(address)
}
