use perennial_core::frame::Column;
use proptest::prelude::*;

use super::super::tensor::integers;

proptest! {
    #[test]
    fn integers_of_a_tensor_keep_their_digits(values in prop::collection::vec(any::<i64>(), 1..6)) {
        let wide: Vec<i128> = values.iter().copied().map(i128::from).collect();
        match integers(&wide) {
            Column::Number(numbers) => {
                let same = numbers.iter().zip(&values).all(|(number, value)| *number as i128 == i128::from(*value));
                prop_assert!(same);
            }
            Column::Text(text) => {
                for (row, value) in values.iter().enumerate() {
                    let digits = value.to_string();
                    prop_assert_eq!(text.get(row), Some(digits.as_str()));
                }
            }
        }
    }
}
