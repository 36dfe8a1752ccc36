//! Text that is no TOML, keys and values that are not known.

use super::shown;
use crate::suite::FLIGHTS;

#[test]
fn mistakes_of_toml() {
    shown(
        "toml",
        FLIGHTS,
        &[
            ("a quote is not closed", &[("name     = \"flight-delays\"", "name     = \"flight-delays")]),
            ("an equals sign is missing", &[("kind   = \"binary\" ", "kind     \"binary\" ")]),
            ("a bracket is not closed", &[("[steps.features]", "[steps.features")]),
            (
                "a key twice",
                &[(
                    "mode   = \"append\"                      #",
                    "key = [\"other\"]\nmode   = \"append\"                      #",
                )],
            ),
            ("a table twice", &[("[steps.simple]", "[steps.train]")]),
            (
                "two lines at once",
                &[("kind   = \"binary\" ", "kind   = binary "), ("run = \"release\" ", "run = release ")],
            ),
        ],
    );
}

#[test]
fn mistakes_of_shape() {
    shown(
        "shape",
        FLIGHTS,
        &[
            ("a misspelt section", &[("[datasets.schedule] ", "[datasetz.schedule] ")]),
            ("a misspelt key", &[("goal     =", "gaol     =")]),
            ("a misspelt key in a line", &[("at_least = 0.999", "atleast = 0.999")]),
            ("a key nothing is like", &[("window   = \"1 month\"", "window   = \"1 month\"\ncolour = \"red\"")]),
            ("a key at the top", &[("[project]", "name = \"x\"\n[project]")]),
            ("a needed key is missing", &[("target = \"late\"  ", "# ")]),
            (
                "a needed section is missing",
                &[
                    ("[project]\n", ""),
                    ("name     = \"flight-delays\"\n", ""),
                    ("goal     =", "# "),
                    ("owners   =", "# "),
                    ("timezone =", "# "),
                ],
            ),
            ("a name that is none", &[("name     = \"flight-delays\"", "name     = \"Flight Delays\"")]),
            ("a key that is no name", &[("[datasets.planes]", "[datasets.Planes]")]),
            ("a number for text", &[("every = \"1 month\" }   #", "every = 30 }   #")]),
            ("text for a number", &[("min_requests = 200", "min_requests = \"200\"")]),
            ("a negative number", &[("min_requests = 200", "min_requests = -200")]),
            (
                "text for a list",
                &[("key    = [\"flight_id\"]                 #", "key    = \"flight_id\"                 #")],
            ),
            ("a number in a list of texts", &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\", 3]")]),
            ("text for a table", &[("source = { files = \"data/planes.csv\" }", "source = \"data/planes.csv\"")]),
            ("a table for text", &[("metric = \"auc\" ", "metric = { name = \"auc\" } ")]),
            ("a misspelt word", &[("mode   = \"replace\"", "mode   = \"replaced\"")]),
            ("a word nothing is like", &[("kind   = \"binary\"", "kind   = \"clustering\"")]),
            ("no duration", &[("within = \"45 days\"", "within = \"45 dayz\"")]),
            ("a duration of nothing", &[("within = \"45 days\"", "within = \"0 days\"")]),
            ("no role", &[("approve = [] ", "approve = [\"boss\"] ")]),
            (
                "a check that is a number",
                &[("volume       = \"count(*) BETWEEN 20000 AND 40000\"", "volume       = 20000")],
            ),
            (
                "several at once",
                &[
                    ("goal     =", "gaol     ="),
                    ("kind   = \"binary\"", "kind   = \"binari\""),
                    ("mode   = \"replace\"", "mode   = \"replaced\""),
                    ("min_requests = 200", "min_requests = \"200\""),
                    ("serving.p99_ms <= 5", "serving.p98_ms <= 5"),
                ],
            ),
        ],
    );
}
