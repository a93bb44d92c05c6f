"""The DCGAN of the Keras tutorial, compiled, for `training.py`: runs under a Python that has TensorFlow, not gangda.

`keras_dcgan.py IMAGES.npy THREADS` reads numbers of steps from its input, a line each, takes them, and answers each
with the seconds it took. Source: TensorFlow's tutorial "Deep Convolutional Generative Adversarial Network".
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

BATCH, NOISE, THREADS = 256, 100, int(sys.argv[2])

tf.config.threading.set_intra_op_parallelism_threads(THREADS)  # before anything is built
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def make_generator() -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            tf.keras.Input((NOISE,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, (5, 5), strides=(1, 1), padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, (5, 5), strides=(2, 2), padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(
                1, (5, 5), strides=(2, 2), padding="same", use_bias=False, activation="tanh"
            ),
        ]
    )


def make_discriminator() -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            tf.keras.Input((28, 28, 1)),
            layers.Conv2D(64, (5, 5), strides=(2, 2), padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, (5, 5), strides=(2, 2), padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


generator, discriminator = make_generator(), make_discriminator()
cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)
generator_optimizer, discriminator_optimizer = tf.keras.optimizers.Adam(1e-4), tf.keras.optimizers.Adam(1e-4)


@tf.function
def train_step(images):  # the tutorial's, word for word
    noise = tf.random.normal([BATCH, NOISE])
    with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
        generated_images = generator(noise, training=True)
        real_output = discriminator(images, training=True)
        fake_output = discriminator(generated_images, training=True)
        gen_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        real_loss = cross_entropy(tf.ones_like(real_output), real_output)
        fake_loss = cross_entropy(tf.zeros_like(fake_output), fake_output)
        disc_loss = real_loss + fake_loss
    gradients_of_generator = gen_tape.gradient(gen_loss, generator.trainable_variables)
    gradients_of_discriminator = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
    generator_optimizer.apply_gradients(
        zip(gradients_of_generator, generator.trainable_variables, strict=True)
    )
    discriminator_optimizer.apply_gradients(
        zip(gradients_of_discriminator, discriminator.trainable_variables, strict=True)
    )
    return gen_loss


def main(clock: Callable[[], float]) -> None:
    pixels = np.load(sys.argv[1]).astype("float32")  # (N, 28, 28, 1) in 0..255
    images = (pixels - 127.5) / 127.5
    data = tf.data.Dataset.from_tensor_slices(images)
    data = iter(data.shuffle(len(images)).batch(BATCH, drop_remainder=True).repeat())
    print(tf.__version__, flush=True)
    for line in sys.stdin:
        began = clock()
        for _ in range(int(line)):
            loss = train_step(next(data))
        loss.numpy()  # wait for it
        print(clock() - began, flush=True)


if __name__ == "__main__":
    main(time.process_time if THREADS == 1 else time.perf_counter)
