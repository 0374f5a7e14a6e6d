//! Callers, who join by name.

use jiff::Timestamp;

use super::{Advertised, Calls};
use crate::world::Context;
use crate::world::elb::{Elb, Flow};
use crate::world::flows::{FlowId, FlowProtocol, Flows};
use crate::world::settings::LoadBalancerSettings;

/// Port of the listener for HTTPS.
const HTTPS: u16 = 443;

/// A caller's media to and from the bridge: 2.5 Mbit/s.
const MEDIA_BYTES_PER_SECOND: u32 = 312_500;

/// The callers and the history of their calls.
#[derive(Debug, Default)]
pub struct Callers {
    callers: Vec<Caller>,
    history: Vec<CallChange>,
    connections: Vec<Connection>,
    /// Number of callers so far.
    count: u32,
}

/// A caller.
#[derive(Debug)]
struct Caller {
    number: u32,
    state: State,
    flows: Vec<OpenFlow>,
    /// Index of the connection of the present call.
    connection: Option<usize>,
}

/// A way to end a flow.
type EndFlow = fn(&mut Flows, FlowId, &LoadBalancerSettings, Timestamp);

/// An open flow of a caller.
#[derive(Debug)]
struct OpenFlow {
    id: FlowId,
    load_balancer: String,
    protocol: FlowProtocol,
}

/// An attempt to join: its outcome, and the flows that begin with it.
#[derive(Debug)]
struct Attempt {
    state: State,
    flows: Vec<(Flow, FlowProtocol)>,
}

/// State of a caller.
#[derive(Debug)]
enum State {
    /// In the call.
    InCall(Call),
    /// Kept out, and trying again.
    Out(Obstacle),
}

/// A call that goes through the load balancer.
#[derive(Debug)]
struct Call {
    /// Id of the task.
    task: String,
    /// Flow of the sign-in and the signalling.
    web: Flow,
    /// Flow of the media.
    media: Flow,
}

/// What keeps a caller out of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    NameDoesNotResolve,
    NoWebTarget,
    OtherAddress,
    NoBridge,
    OtherBridge,
}

/// An event of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// The caller joined: media flows.
    Joined,
    /// The caller can't sign in.
    NoSignIn(&'static str),
    /// The caller is signed in, and no media flows.
    NoMedia(&'static str),
    /// The call ended although the caller had not left.
    Dropped,
    /// The caller left.
    Left,
}

/// An event of a call, with its time and its caller. Events occur when the state of a caller changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallChange {
    /// Time of the event.
    pub at: Timestamp,
    /// Number of the caller, from 1.
    pub caller: u32,
    /// The event.
    pub event: CallEvent,
}

/// A caller's connection to a task through a load balancer, from the moment the caller joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Number of the caller, from 1.
    pub caller: u32,
    /// Id of the task.
    pub task: String,
    /// ARN of the load balancer.
    pub load_balancer: String,
    /// Time at which the caller joined.
    pub began_at: Timestamp,
    /// Time at which the caller left, or noticed that the call was dropped; `None` during the call.
    pub ended_at: Option<Timestamp>,
}

/// Number of each event of the calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Times that a caller joined.
    pub joined: usize,
    /// Times that a caller began to be unable to sign in.
    pub no_sign_in: usize,
    /// Times that a caller began to be without media after the sign-in.
    pub no_media: usize,
    /// Calls that ended although the caller had not left.
    pub dropped: usize,
}

impl CallEvent {
    /// Returns the name of the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::NoSignIn(_) => "no-sign-in",
            Self::NoMedia(_) => "no-media",
            Self::Dropped => "dropped",
            Self::Left => "left",
        }
    }

    /// Returns what keeps the caller out.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::NoSignIn(reason) | Self::NoMedia(reason) => Some(reason),
            Self::Joined | Self::Dropped | Self::Left => None,
        }
    }
}

impl Obstacle {
    fn event(self) -> CallEvent {
        match self {
            Self::NameDoesNotResolve => CallEvent::NoSignIn("the name does not resolve"),
            Self::NoWebTarget => CallEvent::NoSignIn("no healthy web target"),
            Self::OtherAddress => CallEvent::NoMedia("the bridge advertises another address"),
            Self::NoBridge => CallEvent::NoMedia("no healthy bridge"),
            Self::OtherBridge => CallEvent::NoMedia("flow to another bridge"),
        }
    }
}

impl Callers {
    /// Returns the number of each caller and the event of its present state.
    pub fn states(&self) -> impl Iterator<Item = (u32, CallEvent)> {
        self.callers.iter().map(|caller| (caller.number, caller.event()))
    }

    /// Returns all events so far, oldest first.
    pub fn history(&self) -> &[CallChange] {
        &self.history
    }

    /// Returns all connections so far, oldest first.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Returns the number of callers.
    pub fn len(&self) -> usize {
        self.callers.len()
    }

    /// Returns the number of each event so far.
    pub fn counts(&self) -> CallCounts {
        let mut counts = CallCounts::default();
        for change in &self.history {
            match change.event {
                CallEvent::Joined => counts.joined += 1,
                CallEvent::NoSignIn(_) => counts.no_sign_in += 1,
                CallEvent::NoMedia(_) => counts.no_media += 1,
                CallEvent::Dropped => counts.dropped += 1,
                CallEvent::Left => (),
            }
        }
        counts
    }

    /// Sets the number of callers: new ones try to join at once, and the latest ones leave first.
    pub fn set(&mut self, number: usize, calls: &Calls, elb: &Elb, context: &mut Context<'_>) {
        while self.callers.len() > number
            && let Some(caller) = self.callers.pop()
        {
            self.part(caller, Flows::close, context);
        }
        self.join(number.saturating_sub(self.callers.len()), calls, elb, context);
    }

    /// Adds callers, who try to join at once. Returns their numbers.
    pub fn join(&mut self, number: usize, calls: &Calls, elb: &Elb, context: &mut Context<'_>) -> Vec<u32> {
        let mut join = || {
            self.count += 1;
            let mut caller = Caller {
                number: self.count,
                state: State::Out(Obstacle::NameDoesNotResolve),
                flows: Vec::new(),
                connection: None,
            };
            self.attempt(&mut caller, calls, elb, context);
            self.record(caller.number, caller.event(), context.now);
            self.callers.push(caller);
            self.count
        };
        (0..number).map(|_| join()).collect()
    }

    /// Lets a caller leave, with or without closing the connections. Returns whether there is such a caller.
    pub fn leave(&mut self, number: u32, silently: bool, context: &mut Context<'_>) -> bool {
        let Some(index) = self.callers.iter().position(|caller| caller.number == number) else { return false };
        let caller = self.callers.remove(index);
        self.part(caller, if silently { Flows::abandon } else { Flows::close }, context);
        true
    }

    fn part(&mut self, mut caller: Caller, end: EndFlow, context: &mut Context<'_>) {
        self.end_call(&mut caller, end, context);
        self.record(caller.number, CallEvent::Left, context.now);
    }

    /// Lets a caller try to join. A caller who is kept out as before keeps the flows, although each attempt is a new one.
    fn attempt(&mut self, caller: &mut Caller, calls: &Calls, elb: &Elb, context: &mut Context<'_>) {
        let Attempt { state, flows } = join(calls, elb, context);
        if !caller.has(&flows) {
            self.end_call(caller, Flows::close, context);
            caller.open(&flows, context);
        }
        if let State::InCall(call) = &state {
            caller.connection = Some(self.connections.len());
            self.connections.push(Connection {
                caller: caller.number,
                task: call.task.clone(),
                load_balancer: call.media.load_balancer().to_owned(),
                began_at: context.now,
                ended_at: None,
            });
        }
        caller.state = state;
    }

    /// Ends the call and the flows of a caller.
    fn end_call(&mut self, caller: &mut Caller, end: EndFlow, context: &mut Context<'_>) {
        for flow in caller.flows.drain(..) {
            end(context.flows, flow.id, &context.settings.load_balancers, context.now);
        }
        if let Some(connection) = caller.connection.take().and_then(|index| self.connections.get_mut(index)) {
            connection.ended_at = Some(context.now);
        }
    }

    /// Lets every caller check the call, or try to join.
    pub fn check(&mut self, calls: &Calls, elb: &Elb, context: &mut Context<'_>) {
        let mut callers = std::mem::take(&mut self.callers);
        for caller in &mut callers {
            let before = caller.event();
            if let State::InCall(call) = &caller.state {
                if call.continues(calls, elb) {
                    continue;
                }
                self.record(caller.number, CallEvent::Dropped, context.now);
                self.end_call(caller, Flows::close, context);
            }
            self.attempt(caller, calls, elb, context);
            // A call that was dropped begins again.
            if before == CallEvent::Joined || before != caller.event() {
                self.record(caller.number, caller.event(), context.now);
            }
        }
        self.callers = callers;
    }

    fn record(&mut self, caller: u32, event: CallEvent, at: Timestamp) {
        self.history.push(CallChange { at, caller, event });
    }
}

impl Caller {
    fn event(&self) -> CallEvent {
        match &self.state {
            State::InCall(_) => CallEvent::Joined,
            State::Out(obstacle) => obstacle.event(),
        }
    }

    /// Opens flows.
    fn open(&mut self, flows: &[(Flow, FlowProtocol)], context: &mut Context<'_>) {
        for (flow, protocol) in flows {
            let bytes = if *protocol == FlowProtocol::Udp { MEDIA_BYTES_PER_SECOND } else { 0 };
            let id = context.flows.open(flow, *protocol, bytes, context.now);
            self.flows.push(OpenFlow { id, load_balancer: flow.load_balancer().to_owned(), protocol: *protocol });
        }
    }

    /// Returns whether the open flows are such flows.
    fn has(&self, flows: &[(Flow, FlowProtocol)]) -> bool {
        let open = self.flows.iter().map(|flow| (flow.load_balancer.as_str(), flow.protocol));
        open.eq(flows.iter().map(|(flow, protocol)| (flow.load_balancer(), *protocol)))
    }
}

impl Call {
    /// Returns whether the call goes on: the task still runs, and the load balancer still carries both flows.
    fn continues(&self, calls: &Calls, elb: &Elb) -> bool {
        let is_same_task = |flow: &Flow| {
            let address = flow.target.address();
            let containers = address.and_then(|address| calls.tasks.get(&address));
            containers.is_some_and(|containers| containers.task == self.task)
        };
        [&self.web, &self.media].into_iter().all(|flow| is_same_task(flow) && elb.carries(flow))
    }
}

/// Lets a caller join.
fn join(calls: &Calls, elb: &Elb, context: &mut Context<'_>) -> Attempt {
    let mut flows = Vec::new();
    let state = try_to_join(calls, elb, &mut flows, context).map_or_else(State::Out, State::InCall);
    Attempt { state, flows }
}

fn try_to_join(
    calls: &Calls,
    elb: &Elb,
    flows: &mut Vec<(Flow, FlowProtocol)>,
    context: &mut Context<'_>,
) -> Result<Call, Obstacle> {
    let domain = context.settings.calls.domain.as_deref().ok_or(Obstacle::NameDoesNotResolve)?;
    let addresses = calls.names.resolve(domain, elb);
    let address = *context.random.pick(&addresses).ok_or(Obstacle::NameDoesNotResolve)?;
    // The load balancer chooses a target by a hash of the flow, and each attempt is a new flow.
    let web = context
        .random
        .pick(&elb.flows(address, FlowProtocol::Tls.as_str(), HTTPS))
        .cloned()
        .ok_or(Obstacle::NoWebTarget)?;
    let private = web.target.address().ok_or(Obstacle::NoWebTarget)?;
    let containers = calls.tasks.get(&private).ok_or(Obstacle::NoWebTarget)?;
    if !containers.listens(web.target.port, false) {
        return Err(Obstacle::NoWebTarget);
    }
    flows.push((web.clone(), FlowProtocol::Tls));
    // The conference server is signed in to, and assigns the bridge of its own task.
    let advertised = match containers.advertised() {
        Some(Advertised::Addresses(addresses)) => addresses,
        Some(Advertised::Own) => return Err(Obstacle::OtherAddress),
        Some(Advertised::Waiting { .. }) | None => return Err(Obstacle::NoBridge),
    };
    let port = containers.media_port();
    let candidate = advertised.iter().find(|candidate| elb.is_at(**candidate)).ok_or(Obstacle::OtherAddress)?;
    let targets = elb.flows(*candidate, FlowProtocol::Udp.as_str(), port);
    let media = context.random.pick(&targets).cloned().ok_or(Obstacle::NoBridge)?;
    flows.push((media.clone(), FlowProtocol::Udp));
    if media.target.address() != Some(private) || !containers.receives_media_at(media.target.port) {
        return Err(Obstacle::OtherBridge);
    }
    Ok(Call { task: containers.task.clone(), web, media })
}
