//! Statistics compared with SciPy and NumPy on the same rows, properties that hold for all rows, and alert facts.

#[cfg(test)]
mod bins;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scipy;
