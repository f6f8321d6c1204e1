//! Numbers that name a thing of their own kind each, so that one is never taken for another.

/// A number of one kind, the same number in text, JSON and SQL.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub struct $name(pub $number);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<$name, Self::Err> {
                text.parse().map($name)
            }
        }

        #[cfg(feature = "sql")]
        $crate::words::as_sql!($name, $number, |id| id.0, |number| Ok($name(number)));
    };
}

id! {
    /// A route, as `makegood.routes` numbers it.
    RouteId(i16)
}

id! {
    /// A run of the reconciler.
    RunId(i64)
}

id! {
    /// A record in quarantine.
    CaseId(i64)
}

id! {
    /// What a person decided on a case.
    DecisionId(i64)
}

id! {
    /// A step of a partition or of the relay, counted from 1; 0 where there is none yet. It is the compare-and-set of
    /// whoever writes on top of it.
    StepNumber(i64)
}

impl StepNumber {
    /// The one that is written on top of this.
    #[must_use]
    pub fn next(self) -> StepNumber {
        StepNumber(self.0 + 1)
    }

    /// The one so many steps before this; not above 0 where there were not so many.
    #[must_use]
    pub fn back(self, steps: i64) -> StepNumber {
        StepNumber(self.0 - steps)
    }
}

id! {
    /// Which holder of a claim or lease it is: each new one has a higher one than all before it.
    Epoch(i64)
}

id! {
    /// Where a record stands in the log of its partition, or where the next one will.
    Offset(i64)
}

impl Offset {
    /// The one right behind this.
    #[must_use]
    pub fn next(self) -> Offset {
        self + 1
    }
}

/// So many offsets on.
impl std::ops::Add<i64> for Offset {
    type Output = Offset;

    fn add(self, by: i64) -> Offset {
        Offset(self.0 + by)
    }
}

/// So many offsets back.
impl std::ops::Sub<i64> for Offset {
    type Output = Offset;

    fn sub(self, by: i64) -> Offset {
        Offset(self.0 - by)
    }
}

/// How far this one is behind the other.
impl std::ops::Sub for Offset {
    type Output = i64;

    fn sub(self, from: Offset) -> i64 {
        self.0 - from.0
    }
}
