use std::convert::Infallible;
use std::io::Write;

use super::*;

fn never() -> Result<(), Infallible> {
    Ok(())
}

/// What a reader makes of bytes that a compromised worker may send.
fn received(bytes: &[u8]) -> Result<(Kind, Message), Failure<Infallible>> {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    writer.write_all(bytes).unwrap();
    drop(writer);
    Frames::new(reader, 1000).receive(&mut never)
}

fn header(kind: u8, descriptors: u8, control: u32, payload: u64) -> Vec<u8> {
    [&[kind, descriptors, 0, 0], control.to_le_bytes().as_slice(), &payload.to_le_bytes()].concat()
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let (writer, reader) = UnixStream::pair().unwrap();
    let message = Message::new(&("sql", 7)).unwrap().with_payload(vec![1, 2, 3]);
    Frames::new(writer, 0).send(Kind::Call, &message, &mut never).unwrap();
    let (kind, read) = Frames::new(reader, 3).receive(&mut never).unwrap();
    assert_eq!((kind, read.payload.as_slice()), (Kind::Call, [1, 2, 3].as_slice()));
    assert_eq!(read.control::<(String, u32)>().unwrap(), ("sql".to_owned(), 7));
}

#[test]
fn bytes_that_are_not_a_frame_are_refused() {
    let malformed = |bytes: &[u8]| matches!(received(bytes), Err(Failure::Malformed(_)));
    assert!(malformed(&header(0, 0, 0, 0)), "kind");
    assert!(malformed(&header(9, 0, 0, 0)), "kind");
    assert!(malformed(&header(4, 0, 0, 1001)), "payload over its limit");
    assert!(malformed(&header(4, 0, u32::MAX, 0)), "control part over its limit");
    assert!(malformed(&header(4, 1, 0, 0)), "a descriptor that did not come");
}

#[test]
fn a_frame_that_is_cut_off_is_closed() {
    let whole = [header(4, 0, 2, 3).as_slice(), b"{}abc"].concat();
    assert!(received(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(matches!(received(&whole[..length]), Err(Failure::Closed)), "{length} bytes");
    }
}

#[test]
fn a_claimed_length_takes_no_memory() {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    writer.write_all(&header(4, 0, 0, 1 << 50)).unwrap();
    drop(writer);
    assert!(matches!(Frames::new(reader, u64::MAX).receive(&mut never), Err(Failure::Closed)));
}

#[test]
fn an_error_keeps_code_message_and_hint() {
    let error = perennial_core::Error::new(ErrorCode::Sql, "no column").with_hint("correct it");
    let read = Message::refusal(&error).error();
    assert_eq!((read.code(), read.message(), read.hint()), (ErrorCode::Sql, "no column", Some("correct it")));
    assert_eq!(Message::default().error().code(), ErrorCode::Internal);
}
