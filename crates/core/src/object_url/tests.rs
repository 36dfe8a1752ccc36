use super::ObjectUrl;

fn url(text: &str) -> ObjectUrl {
    text.parse().unwrap()
}

#[test]
fn a_url_has_one_spelling() {
    for text in ["s3://bucket/in/*.csv", "gs://b-1.c_d/a/b c#.csv", "az://box/", "s3://bucket/ü/?.csv"] {
        assert_eq!(url(text).to_string(), text);
    }
    assert_eq!(url("s3://bucket").to_string(), "s3://bucket/");
    assert_eq!(url("s3a://bucket/in/"), url("s3://bucket/in/"));
}

#[test]
fn other_spellings_are_refused() {
    for text in [
        "bucket/in/",
        "S3://bucket/in/",
        "file:///etc/",
        "http://bucket/in/",
        "s3:///in/",
        "s3://b%75cket/in/",
        "s3://key@bucket/in/",
        "s3://bucket:9000/in/",
        "s3://bu..cket/",
        "s3://buckét/",
        "s3://bucket/../other/",
        "s3://bucket/in/./a.csv",
        "s3://bucket/in//a.csv",
        "s3://bucket//a.csv",
        "s3://bucket/%2e%2e/a.csv",
        "s3://bucket/in%2fa.csv",
        "s3://bucket/in\\a.csv",
        "s3://bucket/in\n",
    ] {
        assert!(text.parse::<ObjectUrl>().is_err(), "{text:?}");
    }
}

#[test]
fn a_glob_is_below_the_prefix_of_its_folder() {
    let cases = [
        ("s3://bucket/in/*.csv", "s3://bucket/in/", true),
        ("s3://bucket/in/2013.csv", "s3://bucket/in", true),
        ("s3://bucket/in/{a,b}/*.csv", "s3://bucket/in/", true),
        ("s3://bucket/in/**/*.csv", "s3://bucket", true),
        ("s3://bucket/input/*.csv", "s3://bucket/in", false),
        ("s3://bucket/in*/a.csv", "s3://bucket/in", false),
        ("s3://bucket/*/a.csv", "s3://bucket/in/", false),
        ("s3://bucket/in", "s3://bucket/in/", false),
        ("s3://Bucket/in/a.csv", "s3://bucket/in/", false),
        ("gs://bucket/in/a.csv", "s3://bucket/in/", false),
        ("s3://other/in/a.csv", "s3://bucket/in/", false),
    ];
    for (source, prefix, expected) in cases {
        assert_eq!(
            url(source).is_below(&ObjectUrl::parse_prefix(prefix).unwrap()),
            expected,
            "{source} below {prefix}"
        );
    }
}

#[test]
fn a_prefix_has_no_pattern() {
    assert_eq!(ObjectUrl::parse_prefix("s3://bucket/in").unwrap().to_string(), "s3://bucket/in/");
    for text in ["s3://bucket/*/", "s3://bucket/in/?", "s3://bucket/[a]/", "s3://bucket/{a,b}/"] {
        assert!(ObjectUrl::parse_prefix(text).is_err(), "{text}");
    }
}

#[test]
fn a_glob_that_could_match_an_object_below_a_prefix_reaches_it() {
    let own = ObjectUrl::parse_prefix("s3://lake/perennial/blobs").unwrap();
    for source in [
        "s3://lake/perennial/blobs/ab/abc",
        "s3://LAKE/perennial/blobs/x.csv",
        "gs://lake/perennial/blobs/x.csv",
        "s3://lake/**/*.csv",
        "s3://lake/perennial/**",
        "s3://lake/*/*/*.csv",
        "s3://lake/per*/blobs/*.csv",
        "s3://lake/{in,perennial/blobs}/*.csv",
        "s3://lake/[p]erennial/blobs/x.csv",
    ] {
        assert!(url(source).may_reach(&own), "{source}");
    }
    for source in [
        "s3://other/perennial/blobs/x.csv",
        "s3://lake/in/*.csv",
        "s3://lake/*.csv",
        "s3://lake/perennial/*.csv",
        "s3://lake/region-*/blobs/x.csv",
        "s3://lake/perennial/blobs",
    ] {
        assert!(!url(source).may_reach(&own), "{source}");
    }
    let whole = ObjectUrl::parse_prefix("s3://lake").unwrap();
    assert!(url("s3://lake/in/*.csv").may_reach(&whole));
}
