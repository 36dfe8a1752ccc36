use super::{Builds, Origin, Requirements, SourcePackage};

fn parse(requirements: &str) -> Result<String, String> {
    super::parse(requirements, Builds::Refused).map(|parsed| {
        assert_eq!(parsed.sources, []);
        parsed.wheels
    })
}

#[test]
fn packages_by_name_and_wheels_by_address_are_allowed() {
    for (text, parsed) in [
        ("", ""),
        ("# a comment with -e and git+https://x\n", "\n"),
        ("\u{feff}six\r\nattrs\r\n", "six\nattrs\n"),
        ("six==1.16.0  # -e later", "six==1.16.0\n"),
        ("mlflow[extras]>=2,<4; python_version > '3.9'", "mlflow[extras]>=2,<4; python_version > '3.9'\n"),
        (
            "six==1.16.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb",
            "six==1.16.0  --hash=sha256:aa  --hash=sha256:bb\n",
        ),
        ("six==1.16.0 \\", "six==1.16.0"),
        ("--index-url https://pypi.example.org/simple/", "--index-url https://pypi.example.org/simple/\n"),
        (
            "--extra-index-url=https://download.pytorch.org/whl/cpu",
            "--extra-index-url=https://download.pytorch.org/whl/cpu\n",
        ),
        (
            "model @ https://example.org/model-1.0-py3-none-any.whl#sha256=aa",
            "model @ https://example.org/model-1.0-py3-none-any.whl#sha256=aa\n",
        ),
        ("https://example.org/model-1.0-py3-none-any.whl", "https://example.org/model-1.0-py3-none-any.whl\n"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(parsed), "{text}");
    }
}

#[test]
fn requirements_that_build_are_refused() {
    for refused in [
        "-e .",
        "--editable=.",
        "six --no-binary six",
        "--no-binary :all:",
        "--no-binary=:all:",
        // `pip` accepts the start of an option.
        "--no-bin :all:",
        "--only-binary=:none:",
        "six \\\n --config-settings=a=b",
        "-r other.txt",
        "-rother.txt",
        "-c other.txt",
        "model @ https://example.org/model-1.0.tar.gz",
        "model @ git+https://example.org/model.git",
        "git+https://example.org/model.git@main#egg=model",
        "model@file:///tmp/model",
        "./model",
        ".",
        "/tmp/model-1.0.zip",
        "model-1.0.tar.gz",
        "six\n-e .",
        // For `pip` a comment is not continued.
        "# comment \\\n-e .",
        // For Python these end a line.
        "six\u{c}-e .",
        "six\u{2028}-e .",
    ] {
        assert!(parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_comment_that_names_an_encoding_does_not_reach_the_tool() {
    assert_eq!(parse("# coding: utf-7\n+AC0-e").as_deref(), Ok("\n+AC0-e\n"));
}

#[test]
fn a_variable_of_the_server_is_not_inserted() {
    assert!(parse("--index-url https://example.org/${PIP_PASSWORD}").is_err());
}

#[test]
fn source_packages_are_found_where_builds_are_allowed() {
    let source = |name: &str, origin| SourcePackage { name: name.to_owned(), origin };
    let version = |name: &str, version: &str| source(name, Origin::Version(version.to_owned()));
    let url = "https://example.org/model-1.0.tar.gz#sha256=aa";
    for (text, wheels, sources) in [
        ("six", "six\n", vec![]),
        ("six\n--no-binary Doc_opt\ndoc.opt==0.6.2", "six\n", vec![version("doc-opt", "0.6.2")]),
        ("--no-binary=a,b\na==1\nb == 2.0\n", "", vec![version("a", "1"), version("b", "2.0")]),
        (
            "model @ https://example.org/model-1.0.tar.gz#sha256=aa",
            "",
            vec![source("model", Origin::Url(url.to_owned()))],
        ),
        (
            "model @ https://example.org/model-1.0-py3-none-any.whl",
            "model @ https://example.org/model-1.0-py3-none-any.whl\n",
            vec![],
        ),
    ] {
        let parsed = super::parse(text, Builds::Allowed);
        assert_eq!(parsed, Ok(Requirements { wheels: wheels.to_owned(), sources }), "{text}");
    }
}

#[test]
fn a_source_package_without_version_or_address_is_refused_where_builds_are_allowed() {
    for refused in [
        "--no-binary :all:\nsix==1",
        "--no-binary six",
        "--no-binary six\nsix>=1",
        "--no-binary six\nsix==1.*",
        "--no-binary six\nsix==1 --hash=sha256:aa",
        "--no-binary ../six\nsix==1",
        "-e .",
        "./model",
        "model @ git+https://example.org/model.git",
        "model @ file:///tmp/model-1.0.tar.gz",
        "model-1.0.tar.gz",
    ] {
        assert!(super::parse(refused, Builds::Allowed).is_err(), "{refused}");
    }
}
