//! Statistics beside SciPy's and NumPy's on the same rows, laws that hold for all rows, and the facts of alerts.

#[cfg(test)]
mod bins;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod scipy;
