//! Metrics compared with scikit-learn on the same rows, properties that hold for all rows, and messages.

#[cfg(test)]
mod curves;
#[cfg(test)]
mod invalid_input;
#[cfg(test)]
mod leakage;
#[cfg(test)]
mod line_chart;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scikit_learn;
#[cfg(test)]
mod slices;
