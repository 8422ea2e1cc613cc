use proptest::collection;
use proptest::prelude::*;

use super::*;

/// A frame as a peer may send it.
#[derive(Debug, Clone)]
struct Sent {
    opcode: u8,
    last: bool,
    mask: bool,
    payload: usize,
}

impl Sent {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.opcode | if self.last { 0x80 } else { 0 }];
        let mask = if self.mask { 0x80 } else { 0 };
        match self.payload {
            length @ 0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            length @ 126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(mask | 127);
                bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0x81, if self.mask { 4 } else { 0 }));
        // Payload that looks like frames.
        bytes.extend([0x81, 0x05, 0x88, 0xff].into_iter().cycle().take(self.payload));
        bytes
    }
}

/// What came of a stream: the bytes that went on, how many of them count, judgements, and whether it broke.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    on: Vec<u8>,
    counted: usize,
    /// How long each of those was that are over.
    sizes: Vec<usize>,
    judged: usize,
    broken: bool,
}

/// The same by looking at whole frames. `left` data frames may pass.
fn expected(frames: &[Sent], mut left: usize) -> Outcome {
    let (mut outcome, mut message) = (Outcome::default(), None);
    for frame in frames {
        let bytes = frame.encode();
        if frame.opcode >= 8 {
            outcome.on.extend(bytes);
            continue;
        }
        let before = message.filter(|_| frame.opcode == 0);
        let passes = before != Some(false) && {
            outcome.judged += 1;
            let passes = left > 0;
            left = left.saturating_sub(1);
            passes
        };
        if passes {
            outcome.counted += bytes.len();
            outcome.sizes.push(bytes.len());
            outcome.on.extend(bytes);
        } else if before == Some(true) {
            outcome.broken = true;
            return outcome;
        }
        message = (!frame.last).then_some(passes);
    }
    outcome
}

/// Reads the stream cut into pieces of these sizes, jumping over payload where it may.
fn read(bytes: &[u8], sizes: &[usize], mut left: usize, jump: bool) -> Outcome {
    let (mut lane, mut outcome, mut rest) = (Lane::default(), Outcome::default(), bytes);
    let mut sizes = sizes.iter().cycle();
    let mut size = 0;
    // Every other judgement comes only when it is asked for again.
    let mut ready = false;
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = after;
        while !piece.is_empty() {
            let skipped = if jump { lane.skip(piece.len()) } else { None };
            let step = skipped.unwrap_or_else(|| {
                lane.read(piece, || {
                    ready = !ready;
                    if ready {
                        return Judgement::Wait;
                    }
                    outcome.judged += 1;
                    if left == 0 {
                        return Judgement::Drop;
                    }
                    left -= 1;
                    Judgement::Pass
                })
            });
            let taken = match step {
                Step::Wait => 0,
                Step::Broken => {
                    outcome.broken = true;
                    return outcome;
                }
                Step::Dropped(taken) => taken,
                Step::Free(taken) | Step::Counted(taken) => {
                    size += if matches!(step, Step::Counted(_)) { taken } else { 0 };
                    if size > 0 && lane.is_between_frames() {
                        outcome.counted += size;
                        outcome.sizes.push(std::mem::take(&mut size));
                    }
                    outcome.on.extend_from_slice(&piece[..taken]);
                    taken
                }
            };
            assert!(taken > 0 || step == Step::Wait, "it gets on");
            piece = &piece[taken..];
        }
    }
    outcome
}

fn sent() -> impl Strategy<Value = Sent> {
    let opcode = prop_oneof![Just(0_u8), Just(1), Just(2), Just(5), Just(8), Just(9), Just(10)];
    let payload = prop_oneof![0_usize..130, 120_usize..400, 65_530_usize..65_550];
    (opcode, any::<bool>(), any::<bool>(), payload).prop_map(|(opcode, last, mask, payload)| Sent {
        opcode,
        last,
        mask,
        payload,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// However the bytes are cut, the same frames are judged, and the same bytes go on.
    #[test]
    fn any_pieces_count_the_same(
        frames in collection::vec(sent(), 0..24),
        sizes in collection::vec(1_usize..3_000, 1..12),
        left in 0_usize..24,
        jump in any::<bool>(),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(Sent::encode).collect();
        let whole = expected(&frames, left);
        prop_assert_eq!(&read(&bytes, &sizes, left, jump), &whole);
        prop_assert_eq!(&read(&bytes, &[1], left, jump), &whole, "byte by byte");
    }
}

#[test]
fn frames_are_told_by_their_first_byte() {
    let data = |continues, last| Frame::Data { continues, last };
    for (first, frame) in [
        (0x81, data(false, true)),
        (0x01, data(false, false)),
        (0x82, data(false, true)),
        (0x00, data(true, false)),
        (0x80, data(true, true)),
        (0x87, data(false, true)),
        // Compressed.
        (0xc1, data(false, true)),
        (0x88, Frame::Control),
        (0x89, Frame::Control),
        (0x8a, Frame::Control),
        (0x0f, Frame::Control),
    ] {
        assert_eq!(FrameReader::default().begins(first), Some(frame), "{first:#x}");
    }
}

/// A length that no stream ever reaches is a frame that never ends, and not more than one.
#[test]
fn the_longest_length_is_one_frame() {
    let mut lane = Lane::default();
    let mut judged = 0;
    let header = [&[0x82, 0xff][..], &[0xff; 8], &[0; 4]].concat();
    for piece in [&header[..], &[0x81; 9_000]] {
        let step = lane.read(piece, || {
            judged += 1;
            Judgement::Pass
        });
        assert_eq!(step, Step::Counted(piece.len()));
    }
    assert_eq!(judged, 1);
    assert_eq!(lane.skip(1_000_000), Some(Step::Counted(1_000_000)));
}

#[test]
fn the_rest_of_a_message_goes_where_its_beginning_went() {
    let frame = |opcode, last| Sent { opcode, last, mask: true, payload: 3 }.encode();
    let mut lane = Lane::default();
    // Dropped as a whole, although there is quota again, and a ping in its midst passes.
    assert!(matches!(lane.read(&frame(1, false), || Judgement::Drop), Step::Dropped(_)));
    assert!(matches!(lane.read(&frame(9, true), || Judgement::Drop), Step::Free(_)));
    assert!(matches!(lane.read(&frame(0, true), || Judgement::Pass), Step::Dropped(_)));
    assert!(matches!(lane.read(&frame(1, false), || Judgement::Pass), Step::Counted(_)));
    assert_eq!(lane.read(&frame(0, true), || Judgement::Drop), Step::Broken);
}
