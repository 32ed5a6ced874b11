//! One flight, as one row of the data tells it.
//!
//! A flight was cancelled, or departed and never arrived at its destination, or landed: a row has one of these three
//! shapes. Everything else is refused with the name of the field.

use super::code::{Code, NotACode};
use super::minute::Minute;
use mainspring::prelude::*;

/// The columns of a row, in order.
pub const COLUMNS: [&str; 9] = [
    "time",
    "carrier",
    "origin",
    "destination",
    "distance",
    "tail",
    "departure_delay",
    "arrival_delay",
    "air_time",
];

/// What a row says where there is no value.
const NONE: &[u8] = b"NA";

/// One scheduled flight.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Scheduled departure.
    pub time: Minute,
    pub carrier: Code,
    pub origin: Code,
    pub destination: Code,
    pub distance_mi: u16,
    /// The tail number; `None` when no aircraft was assigned.
    pub aircraft: Option<Code>,
    pub outcome: Outcome,
}

/// How a flight went. Delays are in minutes against the schedule, negative when early.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It never departed.
    Cancelled,
    /// It departed and did not arrive at its destination.
    Diverted { departure_delay_min: i16 },
    /// It arrived.
    Landed { departure_delay_min: i16, arrival_delay_min: i16, air_time_min: u16 },
}

/// Why a row is no flight. Says which column to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("{found} fields where {} are expected ({})", COLUMNS.len(), COLUMNS.join(","))]
    Fields { found: usize },
    #[error("column `time`: `{text}` is not a minute like 2013-01-01T10:15Z")]
    Time { text: String },
    #[error("column `{column}`: {reason}")]
    Code { column: &'static str, reason: NotACode },
    #[error(
        "column `{column}`: `{text}` is not a whole number in range (nor NA, where a value may lack)"
    )]
    Number { column: &'static str, text: String },
    #[error(
        "delays and air time do not fit together: all three, only the departure delay, or none of them may be given"
    )]
    Outcome,
    #[error("column `tail`: NA for a flight that departed")]
    NoAircraft,
}

impl Flight {
    /// A flight from the fields of its row.
    pub fn parse<'a>(fields: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Flight, RowError> {
        let found = fields.len();
        let mut row = [&b""[..]; COLUMNS.len()];
        if found != row.len() {
            return Err(RowError::Fields { found });
        }
        fields.zip(&mut row).for_each(|(field, place)| *place = field);
        let [time, carrier, origin, destination, distance, tail, departure, arrival, air_time] =
            row;
        let outcome = outcome(departure, arrival, air_time)?;
        let aircraft = if tail == NONE { None } else { Some(code("tail", tail)?) };
        if aircraft.is_none() && outcome != Outcome::Cancelled {
            return Err(RowError::NoAircraft);
        }
        Ok(Flight {
            time: Minute::parse(time).ok_or_else(|| RowError::Time { text: lossy(time) })?,
            carrier: code("carrier", carrier)?,
            origin: code("origin", origin)?,
            destination: code("destination", destination)?,
            distance_mi: required("distance", distance)?,
            aircraft,
            outcome,
        })
    }
}

fn outcome(departure: &[u8], arrival: &[u8], air_time: &[u8]) -> Result<Outcome, RowError> {
    let departure = number::<i16>("departure_delay", departure)?;
    let arrival = number::<i16>("arrival_delay", arrival)?;
    match (departure, arrival, number::<u16>("air_time", air_time)?) {
        (None, None, None) => Ok(Outcome::Cancelled),
        (Some(departure_delay_min), None, None) => Ok(Outcome::Diverted { departure_delay_min }),
        (Some(departure_delay_min), Some(arrival_delay_min), Some(air_time_min)) => {
            Ok(Outcome::Landed { departure_delay_min, arrival_delay_min, air_time_min })
        }
        _ => Err(RowError::Outcome),
    }
}

fn code(column: &'static str, text: &[u8]) -> Result<Code, RowError> {
    Code::parse(text).map_err(|reason| RowError::Code { column, reason })
}

fn required<N: std::str::FromStr>(column: &'static str, text: &[u8]) -> Result<N, RowError> {
    number(column, text)?.ok_or_else(|| RowError::Number { column, text: lossy(text) })
}

fn number<N: std::str::FromStr>(column: &'static str, text: &[u8]) -> Result<Option<N>, RowError> {
    if text == NONE {
        return Ok(None);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| RowError::Number { column, text: lossy(text) })
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A flight from the text of its row, for tests.
    pub fn flight(row: &str) -> Result<Flight, RowError> {
        let fields: Vec<&[u8]> = row.split(',').map(str::as_bytes).collect();
        Flight::parse(fields.into_iter())
    }

    #[test]
    fn a_landed_flight() {
        let flight = flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,-11,227").unwrap();
        assert_eq!(flight.time.to_string(), "2013-01-01T10:15Z");
        assert_eq!(flight.aircraft.unwrap().to_string(), "N14228");
        assert_eq!(flight.distance_mi, 1400);
        let landed =
            Outcome::Landed { departure_delay_min: 2, arrival_delay_min: -11, air_time_min: 227 };
        assert_eq!(flight.outcome, landed);
    }

    #[test]
    fn a_cancelled_flight_has_no_delays_and_perhaps_no_aircraft() {
        let cancelled = flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,NA,NA,NA,NA").unwrap();
        assert_eq!((cancelled.outcome, cancelled.aircraft), (Outcome::Cancelled, None));
        let diverted = flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,7,NA,NA").unwrap();
        assert_eq!(diverted.outcome, Outcome::Diverted { departure_delay_min: 7 });
    }

    #[test]
    fn a_malformed_row_names_its_column() {
        for (row, part) in [
            ("2013-01-01T10:15Z,UA,EWR", "3 fields"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,2,11,227,x", "10 fields"),
            ("2013-01-01,UA,EWR,IAH,1400,N1,2,11,227", "`time`"),
            ("2013-01-01T10:15Z,,EWR,IAH,1400,N1,2,11,227", "`carrier`"),
            ("2013-01-01T10:15Z,UA,E-R,IAH,1400,N1,2,11,227", "`origin`"),
            ("2013-01-01T10:15Z,UA,EWR,IAHIAHIAH,1400,N1,2,11,227", "`destination`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,-1,N1,2,11,227", "`distance`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,NA,N1,2,11,227", "`distance`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N 1,2,11,227", "`tail`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,NA,2,11,227", "`tail`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,2.5,11,227", "`departure_delay`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,2,99999,227", "`arrival_delay`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,2,11,", "`air_time`"),
            ("2013-01-01T10:15Z,UA,EWR,IAH,1400,N1,NA,11,227", "fit together"),
        ] {
            let error = flight(row).unwrap_err().to_string();
            assert!(error.contains(part), "{row}: {error}");
        }
    }
}
