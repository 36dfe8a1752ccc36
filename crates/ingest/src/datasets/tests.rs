use std::time::Duration;

use perennial_core::ErrorCode;

use super::in_time;

#[tokio::test]
async fn a_query_that_takes_too_long_is_cancelled_with_a_timeout() {
    let late = in_time::<()>(Duration::ZERO, std::future::pending()).await.unwrap_err();
    assert_eq!(late.code(), ErrorCode::Timeout);
    assert!(late.message().contains("longer than 0 s"), "{}", late.message());
    assert_eq!(in_time(Duration::ZERO, async { Ok(7) }).await.unwrap(), 7);
}
