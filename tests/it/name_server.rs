//! A name server on a port of its own, which answers as the resolver of a VPC and as the name server of a zone.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use simple_dns::rdata::{A, CNAME, NS, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

/// Who is asked: a question that wants recursion is for the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Resolver,
    Zone,
}

/// A record's value.
#[derive(Clone, Debug)]
pub enum Record {
    Address([u8; 4]),
    Alias(&'static str),
    Server(&'static str),
}

#[derive(Default)]
struct State {
    records: BTreeMap<(Asked, &'static str), Vec<Record>>,
    /// The domain whose addresses appear only after a number of questions to the zone.
    late: Option<(&'static str, usize)>,
    /// Whether the zone's name server refuses to answer.
    refuses: bool,
    questions: usize,
}

/// A running name server. It ends with the test process.
pub struct NameServer {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl NameServer {
    /// Starts a server that knows itself, by the name `ns.example.net`, as the server of the zone `example.org`.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let server = Self { state: Arc::clone(&state), address };
        server.add(Asked::Resolver, "example.org", Record::Server("ns.example.net"));
        server.add(Asked::Resolver, "ns.example.net", Record::Address([127, 0, 0, 1]));
        thread::spawn(move || serve(&socket, &state));
        server
    }

    /// Returns a file with dig's options for this server.
    pub fn digrc(&self) -> String {
        format!("@{} -p {}\n", self.address.ip(), self.address.port())
    }

    /// Returns the number of questions so far.
    pub fn questions(&self) -> usize {
        self.state().questions
    }

    /// Adds a record.
    pub fn add(&self, asked: Asked, name: &'static str, record: Record) {
        self.state().records.entry((asked, name)).or_default().push(record);
    }

    /// Conceals a name's records from the next questions to the zone.
    pub fn delay(&self, name: &'static str, questions: usize) {
        self.state().late = Some((name, questions));
    }

    /// Makes the zone's name server refuse questions.
    pub fn refuse(&self) {
        self.state().refuses = true;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(socket: &UdpSocket, state: &Mutex<State>) {
    let mut buffer = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        let Ok(query) = Packet::parse(&buffer[..length]) else { continue };
        let reply = answer(&query, &mut state.lock().unwrap_or_else(PoisonError::into_inner));
        socket.send_to(&reply, client).expect("dig waits for the reply");
    }
}

fn answer(query: &Packet<'_>, state: &mut State) -> Vec<u8> {
    state.questions += 1;
    let question = &query.questions[0];
    let name = question.qname.to_string();
    let asked = if query.has_flags(PacketFlag::RECURSION_DESIRED) { Asked::Resolver } else { Asked::Zone };
    let mut reply = Packet::new_reply(query.id());
    reply.questions.push(question.clone());
    if asked == Asked::Zone && state.refuses {
        *reply.rcode_mut() = RCODE::Refused;
        return reply.build_bytes_vec().expect("a reply fits");
    }
    if asked == Asked::Zone {
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        if let Some((late, questions)) = &mut state.late
            && *late == name
            && *questions > 0
        {
            *questions -= 1;
            *reply.rcode_mut() = RCODE::NameError;
            return reply.build_bytes_vec().expect("a reply fits");
        }
    }
    let records =
        state.records.iter().find(|((of, known), _)| *of == asked && *known == name).map(|(_, records)| records);
    if records.is_none() {
        *reply.rcode_mut() = RCODE::NameError;
    }
    for record in records.into_iter().flatten() {
        let (kind, data) = match record {
            Record::Address(address) => (TYPE::A, RData::A(A::from(std::net::Ipv4Addr::from(*address)))),
            Record::Alias(target) => (TYPE::CNAME, RData::CNAME(CNAME(Name::new_unchecked(target)))),
            Record::Server(server) => (TYPE::NS, RData::NS(NS(Name::new_unchecked(server)))),
        };
        // An alias answers every question.
        if question.qtype == QTYPE::TYPE(kind) || kind == TYPE::CNAME {
            reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, data));
        }
    }
    reply.build_bytes_vec().expect("a reply fits")
}
