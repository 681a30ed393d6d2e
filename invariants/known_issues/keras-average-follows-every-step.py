"""Between two updates of a weight an optimizer's variables are documented to stay."""

import keras
import tensorflow as tf

weight = keras.Variable([0.0])
optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2)
averages = []
for _ in range(5):
    optimizer.apply([tf.ones(1)], [weight])
    averages.append(float(optimizer._model_variables_moving_average[0].numpy()[0]))
assert averages[4] == averages[3]
