//! Measures beside scikit-learn's on the same rows, laws that hold for all rows, and what people read.

#[cfg(test)]
mod curves;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod scikit_learn;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod slices;
